/* An allocator in the place of the C library's, to be preloaded: blocks are cut off large mappings and never used again.
   Its mappings are its own, and no program's. */

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { HEADER = 16, PAGE = 4096, LARGE = 1 << 16 };
static const size_t CHUNK = 64 << 20;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t next, end;
static size_t served;

/* Tells a test that this allocator is the one in use. */
size_t own_malloc_served(void) { return served; }

void *memalign(size_t alignment, size_t size)
{
    if (size > PTRDIFF_MAX - CHUNK) {
        errno = ENOMEM;
        return NULL;
    }
    if (alignment < HEADER)
        alignment = HEADER;
    pthread_mutex_lock(&lock);
    uintptr_t block = (next + HEADER + alignment - 1) / alignment * alignment;
    if (block + size > end) {
        size_t bytes = size + alignment + HEADER > CHUNK ? size + alignment + HEADER : CHUNK;
        void *chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (chunk == MAP_FAILED) {
            pthread_mutex_unlock(&lock);
            errno = ENOMEM;
            return NULL;
        }
        end = (uintptr_t)chunk + bytes;
        block = ((uintptr_t)chunk + HEADER + alignment - 1) / alignment * alignment;
    }
    next = block + size;
    served++;
    pthread_mutex_unlock(&lock);
    ((size_t *)block)[-1] = size;
    return (void *)block;
}

void *malloc(size_t size) { return memalign(HEADER, size); }

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

void *valloc(size_t size) { return memalign(4096, size); }

void *pvalloc(size_t size) { return memalign(4096, (size + 4095) & ~(size_t)4095); }

int posix_memalign(void **place, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *place = block;
    return 0;
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return memalign(HEADER, bytes); /* fresh pages are zero, and none is used twice */
}

/* Large blocks are given back to the system, by a call that others can see; small ones never. */
void free(void *block)
{
    if (block == NULL || ((size_t *)block)[-1] < LARGE)
        return;
    uintptr_t first = ((uintptr_t)block + PAGE - 1) / PAGE * PAGE;
    uintptr_t last = ((uintptr_t)block + ((size_t *)block)[-1]) / PAGE * PAGE;
    munmap((void *)first, last - first);
}

void *realloc(void *old, size_t size)
{
    void *block = malloc(size);
    if (block != NULL && old != NULL) {
        size_t had = ((size_t *)old)[-1];
        memcpy(block, old, had < size ? had : size);
        free(old);
    }
    return block;
}
