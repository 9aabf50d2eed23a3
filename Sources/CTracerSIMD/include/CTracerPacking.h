#pragma once
// Blocks of integers by frame of reference, as films travel: the range of a block, its differences
// from a reference packed to a bit width, and back. Moves bits only; the caller has checked counts
// and sizes.

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CTracerGather.h"

/// The most values of a block.
#define CTRACER_BLOCK 256
/// How far packing may write behind the bytes that it fills.
#define CTRACER_PACK_SLACK 72

CTRACER_INLINE uint64_t ctracer_load64(const uint8_t *from) {
    uint64_t word;
    memcpy(&word, from, 8);
    return word;
}

CTRACER_INLINE void ctracer_store64(uint8_t *to, uint64_t word) { memcpy(to, &word, 8); }

/// The smallest and the largest of at least one value. Most blocks differ by less than 32 bits, in
/// which the processor finds them much faster.
CTRACER_INLINE void ctracer_range_wide(
    const int64_t *values, size_t count, int64_t *smallest, int64_t *largest) {
    const int64_t first = values[0], near = 1ll << 31;
    const size_t whole = count / 8 * 8;
    int64_t low = first, high = first;
    const __m256i base = _mm256_set1_epi64x(first), half = _mm256_set1_epi64x(near);
    __m256i far = _mm256_setzero_si256(), lows = far, highs = far;
    for (size_t i = 0; i < whole; i += 8) {
        const __m256i *from = (const __m256i *)(values + i);
        __m256i a = _mm256_sub_epi64(_mm256_loadu_si256(from), base);
        __m256i b = _mm256_sub_epi64(_mm256_loadu_si256(from + 1), base);
        far = _mm256_or_si256(far, _mm256_add_epi64(a, half));
        far = _mm256_or_si256(far, _mm256_add_epi64(b, half));
        __m256i both = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
        lows = _mm256_min_epi32(lows, both);
        highs = _mm256_max_epi32(highs, both);
    }
    size_t i = 0;
    // Differences that wrap look small.
    if (_mm256_testz_si256(far, _mm256_set1_epi64x(~0xffffffffll)) && first >= INT64_MIN + near
        && first <= INT64_MAX - near) {
        int32_t l[8], h[8];
        _mm256_storeu_si256((__m256i *)l, lows);
        _mm256_storeu_si256((__m256i *)h, highs);
        for (int k = 0; k < 8; k++) {
            low = first + l[k] < low ? first + l[k] : low;
            high = first + h[k] > high ? first + h[k] : high;
        }
        i = whole;
    }
    for (; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *smallest = low;
    *largest = high;
}

/// The smallest and the largest of at least one value.
CTRACER_INLINE void ctracer_range_narrow(
    const int32_t *values, size_t count, int64_t *smallest, int64_t *largest) {
    int32_t low = values[0], high = values[0];
    // Compilers vectorise this one.
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *smallest = low;
    *largest = high;
}

/// Eight items of `bits` bits, 8 … 56, fill as many bytes: each item goes to its byte with what the
/// one before has in that byte, and overwrites the rest of what was written there.
CTRACER_INLINE size_t ctracer_pack_groups(
    const uint64_t *items, size_t count, unsigned bits, uint8_t *to) {
    size_t offsets[8];
    int64_t shifts[8], backs[8];
    for (unsigned k = 0; k < 8; k++) {
        offsets[k] = k * bits >> 3;
        shifts[k] = k * bits & 7;
        backs[k] = k == 0 ? 64 : 8 * (int64_t)(offsets[k] - offsets[k - 1]);
    }
    const __m256i shift_a = _mm256_loadu_si256((const __m256i *)shifts);
    const __m256i shift_b = _mm256_loadu_si256((const __m256i *)(shifts + 4));
    const __m256i back_a = _mm256_loadu_si256((const __m256i *)backs);
    const __m256i back_b = _mm256_loadu_si256((const __m256i *)(backs + 4));
    size_t i = 0;
    for (; i + 8 <= count; i += 8, to += bits) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(items + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(items + i + 4));
        a = _mm256_sllv_epi64(a, shift_a);
        b = _mm256_sllv_epi64(b, shift_b);
        __m256i before_a = _mm256_alignr_epi8(a, _mm256_permute2x128_si256(a, a, 0x08), 8);
        __m256i before_b = _mm256_alignr_epi8(b, _mm256_permute2x128_si256(a, b, 0x21), 8);
        a = _mm256_or_si256(a, _mm256_srlv_epi64(before_a, back_a));
        b = _mm256_or_si256(b, _mm256_srlv_epi64(before_b, back_b));
        uint64_t words[8];
        _mm256_storeu_si256((__m256i *)words, a);
        _mm256_storeu_si256((__m256i *)(words + 4), b);
        for (unsigned k = 0; k < 8; k++) ctracer_store64(to + offsets[k], words[k]);
    }
    return i;
}

/// Whether two items of so many bits are joined into one of a word.
CTRACER_INLINE int ctracer_joins(unsigned bits) { return bits <= 28 || bits == 32; }

/// Each two of eight neighbouring items in one, in their order.
CTRACER_INLINE __m256i ctracer_join(__m256i a, __m256i b, __m128i bits) {
    __m256i even = _mm256_unpacklo_epi64(a, b), odd = _mm256_unpackhi_epi64(a, b);
    __m256i pairs = _mm256_or_si256(even, _mm256_sll_epi64(odd, bits));
    return _mm256_permute4x64_epi64(pairs, 0xd8);
}

/// Writes `count` items of `bits` bits, lowest bits first: neighbours are joined as long as two of
/// them fit a word well, then the words are put one behind the other. `items` has room for a
/// multiple of eight, is overwritten, and no item has higher bits set.
CTRACER_INLINE void ctracer_pack_items(
    uint64_t *items, size_t count, unsigned bits, uint8_t *to) {
    while (count % 8) items[count++] = 0;
    while (ctracer_joins(bits) && count % 8 == 0) {
        const __m128i shift = _mm_cvtsi32_si128((int)bits);
        for (size_t i = 0; i < count; i += 8) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(items + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(items + i + 4));
            _mm256_storeu_si256((__m256i *)(items + i / 2), ctracer_join(a, b, shift));
        }
        count /= 2;
        bits *= 2;
    }
    if (bits == 64) {
        memcpy(to, items, count * 8);
        return;
    }
    size_t i = 0;
    if (bits >= 8 && bits <= 56) {
        i = ctracer_pack_groups(items, count, bits, to);
        to += i / 8 * bits;
    }
    uint64_t word = 0;
    unsigned filled = 0;
    for (; i < count; i++) {
        word |= items[i] << filled;
        filled += bits;
        if (filled >= 64) {
            ctracer_store64(to, word);
            to += 8;
            filled -= 64;
            word = filled ? items[i] >> (bits - filled) : 0;
        }
    }
    ctracer_store64(to, word);
}

/// Packs `values - reference`, each of at most `width` bits, 1 … 64; writes up to
/// `CTRACER_PACK_SLACK` bytes more than `(count * width + 7) / 8`.
CTRACER_INLINE void ctracer_pack_wide(
    const int64_t *values, size_t count, int64_t reference, unsigned width, uint8_t *to) {
    uint64_t items[CTRACER_BLOCK];
    if (ctracer_joins(width) && count % 8 == 0) {
        const __m256i base = _mm256_set1_epi64x(reference);
        const __m128i shift = _mm_cvtsi32_si128((int)width);
        for (size_t i = 0; i < count; i += 8) {
            const __m256i *from = (const __m256i *)(values + i);
            __m256i a = _mm256_sub_epi64(_mm256_loadu_si256(from), base);
            __m256i b = _mm256_sub_epi64(_mm256_loadu_si256(from + 1), base);
            _mm256_storeu_si256((__m256i *)(items + i / 2), ctracer_join(a, b, shift));
        }
        ctracer_pack_items(items, count / 2, 2 * width, to);
        return;
    }
    for (size_t i = 0; i < count; i++) items[i] = (uint64_t)values[i] - (uint64_t)reference;
    ctracer_pack_items(items, count, width, to);
}

/// As `ctracer_pack_wide`.
CTRACER_INLINE void ctracer_pack_narrow(
    const int32_t *values, size_t count, int64_t reference, unsigned width, uint8_t *to) {
    uint64_t items[CTRACER_BLOCK];
    const uint32_t low = (uint32_t)reference;
    for (size_t i = 0; i < count; i++) items[i] = (uint32_t)values[i] - low;
    ctracer_pack_items(items, count, width, to);
}

/// The item at a bit, of at most 64 bits; reads 9 bytes from its first one on.
CTRACER_INLINE uint64_t ctracer_item(const uint8_t *from, size_t bit, unsigned width) {
    const uint8_t *place = from + (bit >> 3);
    const unsigned shift = bit & 7;
    uint64_t value = ctracer_load64(place) >> shift;
    if (shift + width > 64) value |= (uint64_t)place[8] << (64 - shift);
    return value & (~0ull >> (64 - width));
}

/// Four items at the offsets of bytes and shifts of bits given, of at most 56 bits.
CTRACER_INLINE __m256i ctracer_four_items(
    const uint8_t *from, const size_t *offsets, __m256i shifts, __m256i mask) {
    __m256i words = _mm256_set_epi64x(
        (long long)ctracer_load64(from + offsets[3]), (long long)ctracer_load64(from + offsets[2]),
        (long long)ctracer_load64(from + offsets[1]), (long long)ctracer_load64(from + offsets[0]));
    return _mm256_and_si256(_mm256_srlv_epi64(words, shifts), mask);
}

/// Eight items lie in `width` whole bytes: each group of them begins at a byte, and its offsets are
/// those of the group before. `STORE` takes the first index and two vectors of four items, `STORE1`
/// one index and an item.
#define CTRACER_UNPACK(STORE, STORE1)                                                             \
    uint8_t copy[CTRACER_BLOCK * 8 + 16];                                                         \
    const size_t size = (count * width + 7) / 8;                                                  \
    if (readable < size + 16) {                                                                   \
        memset(copy + size, 0, 16);                                                               \
        from = (const uint8_t *)memcpy(copy, from, size);                                         \
    }                                                                                             \
    size_t i = 0;                                                                                 \
    if (width <= 56) {                                                                            \
        size_t offsets[8];                                                                        \
        int64_t shifts[8];                                                                        \
        for (unsigned k = 0; k < 8; k++) {                                                        \
            offsets[k] = k * width >> 3;                                                          \
            shifts[k] = k * width & 7;                                                            \
        }                                                                                         \
        const __m256i low = _mm256_loadu_si256((const __m256i *)shifts);                          \
        const __m256i high = _mm256_loadu_si256((const __m256i *)(shifts + 4));                   \
        const __m256i mask = _mm256_set1_epi64x((long long)(~0ull >> (64 - width)));              \
        const uint8_t *group = from;                                                              \
        for (; i + 8 <= count; i += 8, group += width) {                                          \
            STORE(i, ctracer_four_items(group, offsets, low, mask),                               \
                  ctracer_four_items(group, offsets + 4, high, mask));                            \
        }                                                                                         \
    }                                                                                             \
    for (; i < count; i++) STORE1(i, ctracer_item(from, i * width, width));

/// Fills `to` with `reference` + differences of `width` bits, 1 … 64, + `addend`, which may be NULL
/// or `to`. Sums wrap. `readable` bytes lie at `from`, at least `(count * width + 7) / 8`.
CTRACER_INLINE void ctracer_unpack_wide(
    const uint8_t *from, size_t readable, size_t count, unsigned width, int64_t reference,
    const int64_t *addend, int64_t *to) {
    const __m256i base = _mm256_set1_epi64x(reference);
#define CTRACER_SET(i, a, b)                                                                      \
    _mm256_storeu_si256((__m256i *)(to + i), _mm256_add_epi64(base, a));                          \
    _mm256_storeu_si256((__m256i *)(to + i + 4), _mm256_add_epi64(base, b))
#define CTRACER_SET1(i, a) to[i] = (int64_t)((uint64_t)reference + a)
#define CTRACER_ADD(i, a, b)                                                                      \
    const __m256i *add = (const __m256i *)(addend + i);                                           \
    __m256i *place = (__m256i *)(to + i);                                                         \
    __m256i first = _mm256_add_epi64(_mm256_loadu_si256(add), base);                              \
    __m256i second = _mm256_add_epi64(_mm256_loadu_si256(add + 1), base);                         \
    _mm256_storeu_si256(place, _mm256_add_epi64(first, a));                                       \
    _mm256_storeu_si256(place + 1, _mm256_add_epi64(second, b))
#define CTRACER_ADD1(i, a) to[i] = (int64_t)((uint64_t)addend[i] + (uint64_t)reference + a)
    if (addend) {
        CTRACER_UNPACK(CTRACER_ADD, CTRACER_ADD1)
    } else {
        CTRACER_UNPACK(CTRACER_SET, CTRACER_SET1)
    }
#undef CTRACER_SET
#undef CTRACER_SET1
#undef CTRACER_ADD
#undef CTRACER_ADD1
}

/// As `ctracer_unpack_wide`, widths 1 … 32.
CTRACER_INLINE void ctracer_unpack_narrow(
    const uint8_t *from, size_t readable, size_t count, unsigned width, int64_t reference,
    const int32_t *addend, int32_t *to) {
    const __m256i base = _mm256_set1_epi32((int32_t)reference);
    // The low halves of eight 64-bit lanes.
#define CTRACER_JOIN(a, b)                                                                        \
    _mm256_add_epi32(base, _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(        \
        _mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88)), 0xd8))
#define CTRACER_SET(i, a, b) _mm256_storeu_si256((__m256i *)(to + i), CTRACER_JOIN(a, b))
#define CTRACER_SET1(i, a) to[i] = (int32_t)((uint32_t)reference + (uint32_t)a)
#define CTRACER_ADD(i, a, b)                                                                      \
    __m256i add = _mm256_loadu_si256((const __m256i *)(addend + i));                              \
    _mm256_storeu_si256((__m256i *)(to + i), _mm256_add_epi32(add, CTRACER_JOIN(a, b)))
#define CTRACER_ADD1(i, a) to[i] = (int32_t)((uint32_t)addend[i] + (uint32_t)reference + (uint32_t)a)
    if (addend) {
        CTRACER_UNPACK(CTRACER_ADD, CTRACER_ADD1)
    } else {
        CTRACER_UNPACK(CTRACER_SET, CTRACER_SET1)
    }
#undef CTRACER_JOIN
#undef CTRACER_SET
#undef CTRACER_SET1
#undef CTRACER_ADD
#undef CTRACER_ADD1
}
#undef CTRACER_UNPACK
