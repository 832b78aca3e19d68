/* Allocates and frees through PyMem_RawMalloc, as extension modules do without the GIL.
 *
 * Called through ctypes.CDLL, which releases the GIL for the whole call. CPython's own symbols are
 * found in the running process, so that no header and no library is needed to compile this.
 */
#include <stddef.h>

void *PyMem_RawMalloc(size_t size);
void PyMem_RawFree(void *block);

#define KEPT 256

/* `count` blocks of 16 to 527 bytes, of which the last 256 are live. */
void churn(long count)
{
    void *kept[KEPT] = {NULL};
    for (long i = 0; i < count; i++) {
        void **slot = &kept[i % KEPT];
        PyMem_RawFree(*slot);
        *slot = PyMem_RawMalloc(16 + (size_t)(i * 37) % 512);
    }
    for (long i = 0; i < KEPT; i++)
        PyMem_RawFree(kept[i]);
}
