#pragma once
// Embree 3 as the tracer sees it; its inline initialisers import as they are.
#include <embree3/rtcore.h>
