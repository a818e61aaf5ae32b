// A library for LD_PRELOAD: a disk that hangs. While the file named by HUNG_DISK_CONTROL exists, every call of the
// process that loads it which is about something in the folder HUNG_DISK_FOLDER waits, as one does on a file system whose
// server is gone, and goes on when the file is removed.
//
// A process that waits here can be killed, which one that waits in the kernel cannot always. As shifted_wall_clock.cpp it
// asks the kernel for everything, and takes no lock and no memory.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <ctime>

namespace {

const char* folder = nullptr;
const char* control = nullptr;

constexpr int kMostBytes = 4096;

struct Path {
  char text[kMostBytes];
};

bool starts_with(const char* text, const char* start) {
  while (*start != '\0') {
    if (*text++ != *start++) {
      return false;
    }
  }
  return true;
}

bool hangs() { return control != nullptr && syscall(SYS_access, control, F_OK) == 0; }

bool is_there(const char* path) { return starts_with(path, folder); }

void wait_while_it_hangs() {
  const int before = errno;
  while (hangs()) {
    const timespec moment{0, 2'000'000};
    syscall(SYS_nanosleep, &moment, nullptr);
  }
  errno = before;
}

bool read_link(const char* link, Path& to) {
  const long size = syscall(SYS_readlink, link, to.text, sizeof to.text - 1);
  to.text[size < 0 ? 0 : size] = '\0';
  return size > 0;
}

void use(int fd) {
  if (!hangs() || fd < 0) {
    return;
  }
  Path link{};
  char* end = link.text;
  for (const char* from = "/proc/self/fd/"; *from != '\0'; ++from) {
    *end++ = *from;
  }
  int digits = 1;
  for (int rest = fd; rest >= 10; rest /= 10) {
    ++digits;
  }
  for (int i = digits - 1, rest = fd; i >= 0; --i, rest /= 10) {
    end[i] = static_cast<char>('0' + rest % 10);
  }
  Path path;
  const int before = errno;
  if (read_link(link.text, path) && is_there(path.text)) {
    wait_while_it_hangs();
  }
  errno = before;
}

void use(const char* name) {
  if (!hangs() || name == nullptr) {
    return;
  }
  const int before = errno;
  Path path{};
  if (starts_with(name, "/proc/self/fd/")) {
    read_link(name, path);
  } else {
    char* end = path.text;
    if (*name != '/' && syscall(SYS_getcwd, path.text, sizeof path.text) > 0) {
      while (*end != '\0') {
        ++end;
      }
      *end++ = '/';
    }
    while (*name != '\0' && end < path.text + kMostBytes - 1) {
      *end++ = *name++;
    }
    *end = '\0';
  }
  if (is_there(path.text)) {
    wait_while_it_hangs();
  }
  errno = before;
}

[[gnu::constructor]] void read_where() {
  folder = std::getenv("HUNG_DISK_FOLDER");
  control = folder == nullptr ? nullptr : std::getenv("HUNG_DISK_CONTROL");
}

int open_file(const char* name, int flags, mode_t mode) {
  use(name);
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, name, flags, mode));
}

int stat_file(const char* name, struct stat* facts) {
  use(name);
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, name, facts, 0));
}

}  // namespace

extern "C" {

int open(const char* name, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(name, flags, mode);
}

int open64(const char* name, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(name, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  use(fd);
  return syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  use(fd);
  return syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  use(fd);
  return syscall(SYS_pwrite64, fd, bytes, size, at);
}

int fsync(int fd) {
  use(fd);
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
  use(fd);
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  use(fd);
  return syscall(SYS_pread64, fd, bytes, size, at);
}

ssize_t pread64(int fd, void* bytes, size_t size, off64_t at) {
  use(fd);
  return syscall(SYS_pread64, fd, bytes, size, at);
}

int fstat(int fd, struct stat* facts) noexcept {
  use(fd);
  return static_cast<int>(syscall(SYS_fstat, fd, facts));
}

int stat(const char* name, struct stat* facts) noexcept { return stat_file(name, facts); }

int rename(const char* from, const char* to) noexcept {
  use(from);
  return static_cast<int>(syscall(SYS_rename, from, to));
}

int unlink(const char* name) noexcept {
  use(name);
  return static_cast<int>(syscall(SYS_unlink, name));
}

int mkdir(const char* name, mode_t mode) noexcept {
  use(name);
  return static_cast<int>(syscall(SYS_mkdir, name, mode));
}

int inotify_add_watch(int fd, const char* name, uint32_t mask) noexcept {
  use(name);
  return static_cast<int>(syscall(SYS_inotify_add_watch, fd, name, mask));
}
}
