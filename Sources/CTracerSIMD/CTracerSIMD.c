#include "CTracerSIMD.h"
