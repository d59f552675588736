/* A time of day that jumps: preloaded, it is off by as many seconds as the file $DASKMPI_TEST_CLOCK says.
 *
 * As when a clock is set, neither intervals nor sleeps nor the times of files change. (libfaketime makes sleeps fail.)
 * Built and used by: kinds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t offset(void) {
    const char *name = getenv("DASKMPI_TEST_CLOCK");
    char text[24] = "0";
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        ssize_t size = read(file, text, sizeof text - 1);
        text[size > 0 ? size : 0] = 0;
        close(file);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*original)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int done = original(clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += offset();
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int (*original)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int done = original(now, zone);
    if (!done && now)
        now->tv_sec += offset();
    return done;
}

time_t time(time_t *now) {
    struct timespec here;
    clock_gettime(CLOCK_REALTIME, &here);
    if (now)
        *now = here.tv_sec;
    return here.tv_sec;
}
