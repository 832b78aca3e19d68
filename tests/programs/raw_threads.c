/* Threads that allocate raw memory without the GIL, for tests: see tests/python/test_hooks.py. */

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

extern void *PyMem_RawMalloc(size_t size);
extern void *PyMem_RawCalloc(size_t count, size_t size);
extern void *PyMem_RawRealloc(void *block, size_t size);
extern void PyMem_RawFree(void *block);

enum { MOST_THREADS = 16, KEPT = 32, PAINT = 0xa5 };

static atomic_int going;
static atomic_long rounds;
static pthread_t threads[MOST_THREADS];
static int running;

static void *churn(void *unused)
{
    void *kept[KEPT] = {0};
    (void)unused;
    for (unsigned long turn = 0; atomic_load(&going); turn++) {
        void **place = &kept[turn % KEPT];
        if (turn & 1)
            *place = PyMem_RawRealloc(*place, 16 + turn % 3000);
        else {
            PyMem_RawFree(*place);
            *place = turn & 2 ? PyMem_RawMalloc(turn % 700) : PyMem_RawCalloc(turn % 7, 100);
        }
        atomic_fetch_add(&rounds, 1);
    }
    for (int index = 0; index < KEPT; index++)
        PyMem_RawFree(kept[index]);
    return NULL;
}

/* Starts threads that Python knows nothing of. */
int start_threads(int count)
{
    atomic_store(&going, 1);
    for (running = 0; running < count; running++)
        if (pthread_create(&threads[running], NULL, churn, NULL) != 0)
            return -1;
    return 0;
}

long stop_threads(void)
{
    atomic_store(&going, 0);
    while (running > 0)
        pthread_join(threads[--running], NULL);
    return atomic_load(&rounds);
}

/* The same on the calling thread, without an end: to be called with the GIL released. */
void churn_for_ever(void)
{
    atomic_store(&going, 1);
    churn(NULL);
}

long rounds_so_far(void) { return atomic_load(&rounds); }

static void *allocate_once(void *unused)
{
    (void)unused;
    void *block = PyMem_RawMalloc(1000);
    block = PyMem_RawRealloc(block, 2000);
    PyMem_RawFree(block);
    return NULL;
}

/* The most bytes of stack that a thread used which allocates one block and ends; -1 if it could not be made. */
long stack_used(size_t stack_bytes)
{
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        return -1;
    memset(stack, PAINT, stack_bytes);
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, stack, stack_bytes) != 0)
        return -1;
    if (pthread_create(&thread, &attributes, allocate_once, NULL) != 0)
        return -1;
    pthread_join(thread, NULL);
    size_t untouched = 0;
    while (untouched < stack_bytes && stack[untouched] == PAINT)
        untouched++;
    munmap(stack, stack_bytes);
    return (long)(stack_bytes - untouched);
}

static void allocate_in_handler(void) { PyMem_RawFree(PyMem_RawMalloc(100)); }

/* Registers handlers that allocate, as a library may do before heapsight is imported. */
int register_fork_handlers(void)
{
    return pthread_atfork(allocate_in_handler, allocate_in_handler, allocate_in_handler);
}
