/* A clock that is CLOCK_OFFSET_S seconds off, for a process that loads this by LD_PRELOAD.
 *
 * libfaketime does not move the clock by which the kernel ends a wait on a futex; gRPC's library waits
 * so, until a time of its own clock, and would wait too long or not at all. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

typedef long (*syscall_type)(long, ...);

static syscall_type kernel;
static long offset_s;

__attribute__((constructor)) static void begin(void) {
  kernel = (syscall_type)dlsym(RTLD_NEXT, "syscall");
  offset_s = atol(getenv("CLOCK_OFFSET_S"));
}

int clock_gettime(clockid_t clock, struct timespec *found) {
  int failed = (int)kernel(SYS_clock_gettime, clock, found);
  if (!failed && clock == CLOCK_REALTIME) found->tv_sec += offset_s;
  return failed;
}

long syscall(long number, ...) {
  va_list list;
  long each[6];
  struct timespec until;
  va_start(list, number);
  for (int place = 0; place < 6; place++) each[place] = va_arg(list, long);
  va_end(list);
  if (number == SYS_futex && each[1] & FUTEX_CLOCK_REALTIME && each[3]) {
    until = *(struct timespec *)each[3];
    until.tv_sec -= offset_s;
    each[3] = (long)&until;
  }
  return kernel(number, each[0], each[1], each[2], each[3], each[4], each[5]);
}
