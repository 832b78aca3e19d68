/* Touches so many bytes of its thread's stack, and waits until it may end: see test_process_report.py. */

#include <alloca.h>
#include <string.h>
#include <unistd.h>

int touch_stack(size_t bytes, int until)
{
    char *place = alloca(bytes);
    memset(place, 1, bytes);
    char word;
    return (int)read(until, &word, 1) + place[bytes / 2];
}
