/* What native code does to an allocator, for tests: see hostile.py. Built as a shared library, and once more as one that
   is loaded and unloaded. */

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_THREADS = 16, KEPT = 64, PAGE = 4096 };

/* Made while the loader has its lock; given back while it unloads the library. */
static void *made_in_constructor;

__attribute__((constructor)) static void loaded(void) { made_in_constructor = malloc(4321); }

__attribute__((destructor)) static void unloaded(void) { free(made_in_constructor); }

void *block_of_constructor(void) { return made_in_constructor; }

/* Threads that Python knows nothing of. Each leaves one block of `kept_bytes` behind, and allocates when it ends. */

static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *left_behind[MOST_THREADS];
static size_t kept_bytes;
static __thread char own_bytes[3 * PAGE];

static void end_of_thread(void *value)
{
    void *block = malloc(777);
    memset(block, 1, 777);
    free(block);
    /* Once more: the library that counts has forgotten the thread by then. */
    if ((size_t)value > 1)
        pthread_setspecific(at_end, (void *)((size_t)value - 1));
}

static void make_key(void) { pthread_key_create(&at_end, end_of_thread); }

static void *churn(void *place)
{
    void *kept[KEPT] = {0};
    pthread_once(&once, make_key);
    pthread_setspecific(at_end, (void *)3);
    own_bytes[PAGE] = 1;
    for (unsigned long turn = 0; turn < 20000; turn++) {
        void **at = &kept[turn % KEPT];
        switch (turn % 5) {
        case 0:
            free(*at);
            *at = malloc(turn % 3000);
            break;
        case 1:
            *at = realloc(*at, 1 + turn % 2000);
            break;
        case 2:
            free(*at);
            *at = calloc(turn % 9, 100);
            break;
        case 3:
            free(*at);
            if (posix_memalign(at, 64, turn % 500) != 0)
                *at = NULL;
            break;
        default:
            if (turn % 100 == 4) {
                char *pages = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                munmap(pages + 2 * PAGE, PAGE);
                munmap(pages, 8 * PAGE);
            }
        }
    }
    for (int index = 0; index < KEPT; index++)
        free(kept[index]);
    *(void **)place = malloc(kept_bytes);
    return NULL;
}

/* 0, once all of them have ended. */
int run_threads(int count, size_t bytes)
{
    pthread_t threads[MOST_THREADS];
    kept_bytes = bytes;
    for (int index = 0; index < count; index++)
        if (pthread_create(&threads[index], NULL, churn, &left_behind[index]) != 0)
            return -1;
    for (int index = 0; index < count; index++)
        pthread_join(threads[index], NULL);
    return 0;
}

/* A block of one thread that another one frees. */
static void *free_there(void *block)
{
    free(block);
    return NULL;
}

int free_elsewhere(void *block)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, free_there, block) == 0 ? pthread_join(thread, NULL) : -1;
}

/* The break goes up, and down again; by and by one page stays. Nothing is allocated meanwhile: the C library's own blocks
   would be in the way. The address of that page. */
void *move_break(void)
{
    char *start = sbrk(3 * PAGE);
    if (start == (void *)-1 || brk(start + 2 * PAGE) != 0 || sbrk(-PAGE) != start + 2 * PAGE)
        return NULL;
    memset(start, 1, PAGE);
    return start;
}

/* Signal handlers that allocate. */
static void *made_in_handler;

static void allocate_at_signal(int number)
{
    (void)number;
    made_in_handler = malloc(2222);
}

void *signal_that_allocates(void)
{
    struct sigaction action = {.sa_handler = allocate_at_signal}, before;
    sigaction(SIGUSR2, &action, &before);
    raise(SIGUSR2);
    sigaction(SIGUSR2, &before, NULL);
    return made_in_handler;
}

/* The same, interrupting whatever the thread is doing in code that holds no lock of the C library's. */
static volatile sig_atomic_t interrupts;

static void churn_at_signal(int number)
{
    (void)number;
    char *pages = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages, PAGE);
    interrupts++;
}

/* Mappings come and go while a timer interrupts them with more of them. */
int interrupted_mappings(int wanted)
{
    struct sigaction action = {.sa_handler = churn_at_signal, .sa_flags = SA_RESTART}, before;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec often = {{0, 100000}, {0, 100000}};
    timer_t timer;
    sigaction(SIGUSR2, &action, &before);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0)
        return -1;
    while (interrupts < wanted) {
        char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(pages + PAGE, PAGE);
        munmap(pages, 4 * PAGE);
    }
    timer_delete(timer);
    sigaction(SIGUSR2, &before, NULL);
    return interrupts;
}

/* longjmp over a frame that has allocated. */
static jmp_buf back;
static void *made_before_jump;

static void allocate_and_jump(void)
{
    made_before_jump = malloc(3333);
    longjmp(back, 1);
}

void *jump(void)
{
    if (setjmp(back) == 0)
        allocate_and_jump();
    return made_before_jump;
}

/* Forks: handlers that allocate, a child that goes on allocating, a fork of a thread that Python does not know. */
static void allocate_in_handler(void)
{
    char *pages = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(realloc(malloc(100), 300));
    munmap(pages, PAGE);
}

int register_fork_handlers(void)
{
    return pthread_atfork(allocate_in_handler, allocate_in_handler, allocate_in_handler);
}

static void *fork_and_wait(void *status)
{
    pid_t child = fork();
    if (child == 0) {
        for (int turn = 0; turn < 1000; turn++)
            free(malloc(turn));
        allocate_in_handler();
        _exit(7);
    }
    waitpid(child, status, 0);
    return NULL;
}

/* The exit status of a child that a thread forked. */
int fork_in_thread(void)
{
    pthread_t thread;
    int status = -1;
    if (pthread_create(&thread, NULL, fork_and_wait, &status) != 0 || pthread_join(thread, NULL) != 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}
