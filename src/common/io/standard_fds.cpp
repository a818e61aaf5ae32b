#include "common/io/standard_fds.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace svc {

void occupy_standard_fds() {
  for (;;) {
    // The lowest number that is free. Not O_CLOEXEC: what is executed from here needs all three as well.
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd <= STDERR_FILENO && fd >= 0) continue;
    if (fd >= 0) ::close(fd);
    return;
  }
}

}  // namespace svc
