/* The reference: what every variant must equal, built for the compiler's default machine. */
#define CK_ISA scalar
#define CK_NAME "scalar"
#define CK_TARGET
#include "template/variant.h"
