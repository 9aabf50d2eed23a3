#include "CTracerSIMD.h"

// Compiled without AVX2's instructions where it matters: it only asks the processor.
int meshd_processor_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}
