#pragma once
// What moves between queues of paths and Embree's structures: lane compaction, transposition of
// records and rays, prefetching, huge pages and the floating-point mode. Moves bits only.

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "CTracerGather.h"

typedef uint32_t ctracer_uint8 __attribute__((vector_size(32)));

CTRACER_INLINE ctracer_float8 ctracer_load(const void *from) {
    return (ctracer_float8)_mm256_loadu_ps((const float *)from);
}

CTRACER_INLINE ctracer_uint8 ctracer_load_uint(const void *from) {
    return (ctracer_uint8)_mm256_loadu_si256((const __m256i *)from);
}

CTRACER_INLINE void ctracer_store(void *to, ctracer_float8 a) {
    _mm256_storeu_ps((float *)to, (__m256)a);
}

CTRACER_INLINE void ctracer_store_uint(void *to, ctracer_uint8 a) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)a);
}

/// To the nearest integers, ties to even; Int32's minimum where that is impossible.
CTRACER_INLINE ctracer_int8 ctracer_nearest_int(ctracer_float8 a) {
    return (ctracer_int8)_mm256_cvtps_epi32((__m256)a);
}

/// For each set of lanes, the numbers of its lanes in order, one byte each.
static const uint64_t ctracer_compaction[256] = {
    0x0706050403020100, 0x0706050403020100, 0x0706050403020001, 0x0706050403020100,
    0x0706050403010002, 0x0706050403010200, 0x0706050403000201, 0x0706050403020100,
    0x0706050402010003, 0x0706050402010300, 0x0706050402000301, 0x0706050402030100,
    0x0706050401000302, 0x0706050401030200, 0x0706050400030201, 0x0706050403020100,
    0x0706050302010004, 0x0706050302010400, 0x0706050302000401, 0x0706050302040100,
    0x0706050301000402, 0x0706050301040200, 0x0706050300040201, 0x0706050304020100,
    0x0706050201000403, 0x0706050201040300, 0x0706050200040301, 0x0706050204030100,
    0x0706050100040302, 0x0706050104030200, 0x0706050004030201, 0x0706050403020100,
    0x0706040302010005, 0x0706040302010500, 0x0706040302000501, 0x0706040302050100,
    0x0706040301000502, 0x0706040301050200, 0x0706040300050201, 0x0706040305020100,
    0x0706040201000503, 0x0706040201050300, 0x0706040200050301, 0x0706040205030100,
    0x0706040100050302, 0x0706040105030200, 0x0706040005030201, 0x0706040503020100,
    0x0706030201000504, 0x0706030201050400, 0x0706030200050401, 0x0706030205040100,
    0x0706030100050402, 0x0706030105040200, 0x0706030005040201, 0x0706030504020100,
    0x0706020100050403, 0x0706020105040300, 0x0706020005040301, 0x0706020504030100,
    0x0706010005040302, 0x0706010504030200, 0x0706000504030201, 0x0706050403020100,
    0x0705040302010006, 0x0705040302010600, 0x0705040302000601, 0x0705040302060100,
    0x0705040301000602, 0x0705040301060200, 0x0705040300060201, 0x0705040306020100,
    0x0705040201000603, 0x0705040201060300, 0x0705040200060301, 0x0705040206030100,
    0x0705040100060302, 0x0705040106030200, 0x0705040006030201, 0x0705040603020100,
    0x0705030201000604, 0x0705030201060400, 0x0705030200060401, 0x0705030206040100,
    0x0705030100060402, 0x0705030106040200, 0x0705030006040201, 0x0705030604020100,
    0x0705020100060403, 0x0705020106040300, 0x0705020006040301, 0x0705020604030100,
    0x0705010006040302, 0x0705010604030200, 0x0705000604030201, 0x0705060403020100,
    0x0704030201000605, 0x0704030201060500, 0x0704030200060501, 0x0704030206050100,
    0x0704030100060502, 0x0704030106050200, 0x0704030006050201, 0x0704030605020100,
    0x0704020100060503, 0x0704020106050300, 0x0704020006050301, 0x0704020605030100,
    0x0704010006050302, 0x0704010605030200, 0x0704000605030201, 0x0704060503020100,
    0x0703020100060504, 0x0703020106050400, 0x0703020006050401, 0x0703020605040100,
    0x0703010006050402, 0x0703010605040200, 0x0703000605040201, 0x0703060504020100,
    0x0702010006050403, 0x0702010605040300, 0x0702000605040301, 0x0702060504030100,
    0x0701000605040302, 0x0701060504030200, 0x0700060504030201, 0x0706050403020100,
    0x0605040302010007, 0x0605040302010700, 0x0605040302000701, 0x0605040302070100,
    0x0605040301000702, 0x0605040301070200, 0x0605040300070201, 0x0605040307020100,
    0x0605040201000703, 0x0605040201070300, 0x0605040200070301, 0x0605040207030100,
    0x0605040100070302, 0x0605040107030200, 0x0605040007030201, 0x0605040703020100,
    0x0605030201000704, 0x0605030201070400, 0x0605030200070401, 0x0605030207040100,
    0x0605030100070402, 0x0605030107040200, 0x0605030007040201, 0x0605030704020100,
    0x0605020100070403, 0x0605020107040300, 0x0605020007040301, 0x0605020704030100,
    0x0605010007040302, 0x0605010704030200, 0x0605000704030201, 0x0605070403020100,
    0x0604030201000705, 0x0604030201070500, 0x0604030200070501, 0x0604030207050100,
    0x0604030100070502, 0x0604030107050200, 0x0604030007050201, 0x0604030705020100,
    0x0604020100070503, 0x0604020107050300, 0x0604020007050301, 0x0604020705030100,
    0x0604010007050302, 0x0604010705030200, 0x0604000705030201, 0x0604070503020100,
    0x0603020100070504, 0x0603020107050400, 0x0603020007050401, 0x0603020705040100,
    0x0603010007050402, 0x0603010705040200, 0x0603000705040201, 0x0603070504020100,
    0x0602010007050403, 0x0602010705040300, 0x0602000705040301, 0x0602070504030100,
    0x0601000705040302, 0x0601070504030200, 0x0600070504030201, 0x0607050403020100,
    0x0504030201000706, 0x0504030201070600, 0x0504030200070601, 0x0504030207060100,
    0x0504030100070602, 0x0504030107060200, 0x0504030007060201, 0x0504030706020100,
    0x0504020100070603, 0x0504020107060300, 0x0504020007060301, 0x0504020706030100,
    0x0504010007060302, 0x0504010706030200, 0x0504000706030201, 0x0504070603020100,
    0x0503020100070604, 0x0503020107060400, 0x0503020007060401, 0x0503020706040100,
    0x0503010007060402, 0x0503010706040200, 0x0503000706040201, 0x0503070604020100,
    0x0502010007060403, 0x0502010706040300, 0x0502000706040301, 0x0502070604030100,
    0x0501000706040302, 0x0501070604030200, 0x0500070604030201, 0x0507060403020100,
    0x0403020100070605, 0x0403020107060500, 0x0403020007060501, 0x0403020706050100,
    0x0403010007060502, 0x0403010706050200, 0x0403000706050201, 0x0403070605020100,
    0x0402010007060503, 0x0402010706050300, 0x0402000706050301, 0x0402070605030100,
    0x0401000706050302, 0x0401070605030200, 0x0400070605030201, 0x0407060503020100,
    0x0302010007060504, 0x0302010706050400, 0x0302000706050401, 0x0302070605040100,
    0x0301000706050402, 0x0301070605040200, 0x0300070605040201, 0x0307060504020100,
    0x0201000706050403, 0x0201070605040300, 0x0200070605040301, 0x0207060504030100,
    0x0100070605040302, 0x0107060504030200, 0x0007060504030201, 0x0706050403020100,
};

/// Moves the lanes of `keep` (a bit a lane) to the front, in order.
CTRACER_INLINE ctracer_float8 ctracer_compact(ctracer_float8 a, uint32_t keep) {
    const __m256i order = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64((const __m128i *)&ctracer_compaction[keep & 255]));
    return (ctracer_float8)_mm256_permutevar8x32_ps((__m256)a, order);
}

/// The same for integers.
CTRACER_INLINE ctracer_uint8 ctracer_compact_uint(ctracer_uint8 a, uint32_t keep) {
    const __m256i order = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64((const __m128i *)&ctracer_compaction[keep & 255]));
    return (ctracer_uint8)_mm256_permutevar8x32_epi32((__m256i)a, order);
}

/// Transposes eight rows of eight floats, in place.
CTRACER_INLINE void ctracer_transpose_rows(__m256 r[8]) {
    const __m256 a0 = _mm256_unpacklo_ps(r[0], r[1]), a1 = _mm256_unpackhi_ps(r[0], r[1]);
    const __m256 a2 = _mm256_unpacklo_ps(r[2], r[3]), a3 = _mm256_unpackhi_ps(r[2], r[3]);
    const __m256 a4 = _mm256_unpacklo_ps(r[4], r[5]), a5 = _mm256_unpackhi_ps(r[4], r[5]);
    const __m256 a6 = _mm256_unpacklo_ps(r[6], r[7]), a7 = _mm256_unpackhi_ps(r[6], r[7]);
    const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee);
    const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
    const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee);
    const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
    r[0] = _mm256_permute2f128_ps(b0, b4, 0x20);
    r[1] = _mm256_permute2f128_ps(b1, b5, 0x20);
    r[2] = _mm256_permute2f128_ps(b2, b6, 0x20);
    r[3] = _mm256_permute2f128_ps(b3, b7, 0x20);
    r[4] = _mm256_permute2f128_ps(b0, b4, 0x31);
    r[5] = _mm256_permute2f128_ps(b1, b5, 0x31);
    r[6] = _mm256_permute2f128_ps(b2, b6, 0x31);
    r[7] = _mm256_permute2f128_ps(b3, b7, 0x31);
}

/// Loads eight records of eight floats, `base + stride × index`, as structure of arrays:
/// `fields[k]` has field k of the eight records. `fields` is aligned to 32 bytes.
CTRACER_INLINE void ctracer_load_records(
    void *fields, const void *base, size_t stride_bytes, ctracer_uint8 index
) {
    __m256 r[8];
    for (int k = 0; k < 8; k++)
        r[k] = _mm256_loadu_ps(
            (const float *)((const char *)base + stride_bytes * (size_t)index[k]));
    ctracer_transpose_rows(r);
    for (int k = 0; k < 8; k++) ((__m256 *)fields)[k] = r[k];
}

/// Writes eight rays as RTCRay structures (48 bytes each, tnear and time zero, mask all ones)
/// from structure of arrays.
CTRACER_INLINE void ctracer_store_rays(
    void *to, const float *ox, const float *oy, const float *oz, const float *dx, const float *dy,
    const float *dz, const float *far
) {
    __m256 r[8] = {
        _mm256_loadu_ps(ox), _mm256_loadu_ps(oy), _mm256_loadu_ps(oz), _mm256_setzero_ps(),
        _mm256_loadu_ps(dx), _mm256_loadu_ps(dy), _mm256_loadu_ps(dz), _mm256_setzero_ps(),
    };
    ctracer_transpose_rows(r);
    const __m128 rest = _mm_castsi128_ps(_mm_set_epi32(0, 0, -1, 0));
    for (int k = 0; k < 8; k++) {
        float *ray = (float *)((char *)to + 48 * k);
        _mm256_storeu_ps(ray, r[k]);
        _mm_storeu_ps(ray + 8, _mm_move_ss(rest, _mm_load_ss(far + k)));
    }
}

/// Asks for the cache line at `address`, which need not be mapped.
CTRACER_INLINE void ctracer_prefetch(const void *address) {
    _mm_prefetch((const char *)address, _MM_HINT_T0);
}

/// Asks the system for huge pages; a wish, so that its failure means nothing.
CTRACER_INLINE void ctracer_advise_huge_pages(void *address, size_t bytes) {
    (void)madvise(address, bytes, MADV_HUGEPAGE);
}

/// Switches this thread's SSE unit to flush denormals to zero and to take them for zero;
/// returns the state before, for `ctracer_restore_float_mode`.
CTRACER_INLINE uint32_t ctracer_enter_float_mode(void) {
    const uint32_t before = _mm_getcsr();
    // Round to nearest, all exceptions masked, FTZ (bit 15) and DAZ (bit 6).
    _mm_setcsr(0x1f80u | 0x8040u);
    return before;
}

CTRACER_INLINE void ctracer_restore_float_mode(uint32_t before) { _mm_setcsr(before); }
