// A library for LD_PRELOAD: the wall clock of the process that loads it is off by as many seconds as the file named by
// SHIFTED_WALL_CLOCK says (8 bytes, a signed integer of the machine), and jumps as soon as the file changes.
//
// A general tool for this (libfaketime) looks up the functions that it replaces while the run-time library of a
// sanitizer starts, and can hang there. This one takes no lock, no memory and no other function: it asks the kernel.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const volatile std::int64_t* shift = nullptr;

int now(clockid_t clock, timespec* out) {
  const long result = syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && clock == CLOCK_REALTIME && shift != nullptr) {
    out->tv_sec += *shift;
  }
  return static_cast<int>(result);
}

[[gnu::constructor]] void map_the_shift() {
  const char* path = std::getenv("SHIFTED_WALL_CLOCK");
  if (path == nullptr) {
    return;
  }
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  void* memory = file < 0 ? MAP_FAILED : mmap(nullptr, sizeof(*shift), PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) {
    std::abort();  // a test that believes in a clock which does not move proves nothing
  }
  close(file);
  shift = static_cast<const volatile std::int64_t*>(memory);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept { return now(clock, out); }

int gettimeofday(timeval* out, void* /*zone*/) noexcept {
  timespec time{};
  const int result = now(CLOCK_REALTIME, &time);
  *out = {.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
  return result;
}

std::time_t time(std::time_t* out) noexcept {
  timespec time{};
  now(CLOCK_REALTIME, &time);
  if (out != nullptr) {
    *out = time.tv_sec;
  }
  return time.tv_sec;
}
}
