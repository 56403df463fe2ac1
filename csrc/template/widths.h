/* The families that exist once per element width. */
#include "delta.h"
#if W > 8
#include "recentred.h"
#endif
#undef CK_GROUP
#if W == 16 || W == 32
#include "scaled.h"
#endif
#include "planes.h"
#include "sparse.h"
#undef W
#undef U
