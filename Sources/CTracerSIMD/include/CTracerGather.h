#pragma once
// Eight-lane operations that Swift's SIMD types lower to scalar loops: gathers, selection,
// square roots, rounding, conversions and bit reversal. Only instructions whose results IEEE 754
// or the integer semantics define to the bit; no reciprocal estimates, no fused operations.
// Integer lanes are passed as eight 32-bit integers; masks have all bits of a lane set or none.

#include <immintrin.h>
#include <stdint.h>

typedef float ctracer_float8 __attribute__((vector_size(32)));
typedef int32_t ctracer_int8 __attribute__((vector_size(32)));

#define CTRACER_INLINE static inline __attribute__((always_inline))

/// Lane by lane `base[index]`.
CTRACER_INLINE ctracer_float8 ctracer_gather_float(const float *base, ctracer_int8 index) {
    return (ctracer_float8)_mm256_i32gather_ps(base, (__m256i)index, 4);
}

/// Lane by lane `base[index]`.
CTRACER_INLINE ctracer_int8 ctracer_gather_int(const int32_t *base, ctracer_int8 index) {
    return (ctracer_int8)_mm256_i32gather_epi32((const int *)base, (__m256i)index, 4);
}

/// Lane by lane `mask ? a : b`.
CTRACER_INLINE ctracer_float8 ctracer_select(
    ctracer_int8 mask, ctracer_float8 a, ctracer_float8 b) {
    return (ctracer_float8)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
}

/// The smaller; the second if either is not a number.
CTRACER_INLINE ctracer_float8 ctracer_min(ctracer_float8 a, ctracer_float8 b) {
    return (ctracer_float8)_mm256_min_ps((__m256)a, (__m256)b);
}

/// The larger; the second if either is not a number.
CTRACER_INLINE ctracer_float8 ctracer_max(ctracer_float8 a, ctracer_float8 b) {
    return (ctracer_float8)_mm256_max_ps((__m256)a, (__m256)b);
}

CTRACER_INLINE ctracer_int8 ctracer_min_int(ctracer_int8 a, ctracer_int8 b) {
    return (ctracer_int8)_mm256_min_epi32((__m256i)a, (__m256i)b);
}

CTRACER_INLINE ctracer_int8 ctracer_max_int(ctracer_int8 a, ctracer_int8 b) {
    return (ctracer_int8)_mm256_max_epi32((__m256i)a, (__m256i)b);
}

CTRACER_INLINE ctracer_float8 ctracer_sqrt(ctracer_float8 a) {
    return (ctracer_float8)_mm256_sqrt_ps((__m256)a);
}

/// Rounded towards minus infinity.
CTRACER_INLINE ctracer_float8 ctracer_floor(ctracer_float8 a) {
    return (ctracer_float8)_mm256_floor_ps((__m256)a);
}

/// Rounded to the nearest integer, ties to even.
CTRACER_INLINE ctracer_float8 ctracer_round(ctracer_float8 a) {
    return (ctracer_float8)_mm256_round_ps(
        (__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/// Rounded towards zero; outside Int32 or not a number: Int32's minimum.
CTRACER_INLINE ctracer_int8 ctracer_to_int(ctracer_float8 a) {
    return (ctracer_int8)_mm256_cvttps_epi32((__m256)a);
}

CTRACER_INLINE ctracer_float8 ctracer_to_float(ctracer_int8 a) {
    return (ctracer_float8)_mm256_cvtepi32_ps((__m256i)a);
}

/// The bits of each lane in the opposite order: nibbles by table, then bytes by a shuffle.
CTRACER_INLINE ctracer_int8 ctracer_reverse_bits(ctracer_int8 a) {
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i low = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15));
    const __m256i high = _mm256_slli_epi16(low, 4);
    const __m256i swap = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
    const __m256i x = (__m256i)a;
    const __m256i lower = _mm256_shuffle_epi8(high, _mm256_and_si256(x, nibble));
    const __m256i upper =
        _mm256_shuffle_epi8(low, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
    return (ctracer_int8)_mm256_shuffle_epi8(_mm256_or_si256(lower, upper), swap);
}

/// The upper halves of the products of unsigned lanes.
CTRACER_INLINE ctracer_int8 ctracer_multiply_high(ctracer_int8 a, ctracer_int8 b) {
    const __m256i even = _mm256_mul_epu32((__m256i)a, (__m256i)b);
    const __m256i odd = _mm256_mul_epu32(
        _mm256_srli_epi64((__m256i)a, 32), _mm256_srli_epi64((__m256i)b, 32));
    return (ctracer_int8)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/// Bit i is lane i of the mask.
CTRACER_INLINE int32_t ctracer_mask_bits(ctracer_int8 mask) {
    return _mm256_movemask_ps((__m256)mask);
}
