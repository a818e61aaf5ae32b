#include "common/io/rlimit.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <limits>
#include <system_error>

namespace svc {

Result<std::uint64_t> raise_open_file_limit() {
  rlimit limit{};
  bool ok = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (ok && limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ok = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
  }
  if (!ok) return io_failed("cannot raise the limit of open files", std::generic_category().message(errno));
  if (limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<std::uint64_t>::max();
  return std::uint64_t{limit.rlim_cur};
}

}  // namespace svc
