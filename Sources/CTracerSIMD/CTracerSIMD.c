#include "CTracerSIMD.h"

#include <immintrin.h>
#include <string.h>

// Compiled without AVX2's instructions where it matters: it only asks the processor.
int meshd_processor_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

// The instructions for approximate reciprocals are defined to a relative error only, and makers
// differ in the bits. Embree uses them.
uint64_t meshd_approximation_fingerprint(void) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int step = 0; step < 8192; ++step) {
        __m128 x = _mm_set_ss(1.0f + (float)step / 2048.0f);
        float results[2];
        _mm_store_ss(&results[0], _mm_rcp_ss(x));
        _mm_store_ss(&results[1], _mm_rsqrt_ss(x));
        unsigned char bytes[sizeof results];
        memcpy(bytes, results, sizeof results);
        // FNV-1a (Fowler, Noll, Vo).
        for (size_t i = 0; i < sizeof bytes; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}
