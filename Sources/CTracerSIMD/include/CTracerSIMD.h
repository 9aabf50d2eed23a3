#pragma once
// What Swift's SIMD types do not offer: mask extraction, lane compaction, transposition,
// prefetching and huge pages. Header-only, so that everything is inlined into the tracer.
#include <stdint.h>
#include "CTracerGather.h"
#include "CTracerPacking.h"
#include "CTracerQueues.h"

/// Whether this processor has the instructions that the tracer is compiled for.
int meshd_processor_has_avx2(void);

/// A hash of what this processor's approximate reciprocals and reciprocal square roots give.
uint64_t meshd_approximation_fingerprint(void);
