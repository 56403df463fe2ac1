/* The families that exist once per element width. */
#include "delta.h"
#include "planes.h"
#include "sparse.h"
#undef W
#undef U
