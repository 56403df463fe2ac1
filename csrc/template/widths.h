/* The families that exist once per element width. */
#include "delta.h"
#if W > 8
#include "recentred.h"
#endif
#undef CK_GROUP
#include "planes.h"
#include "sparse.h"
#undef W
#undef U
