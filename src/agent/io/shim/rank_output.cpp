#include "agent/io/shim/rank_output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace svc::agent {

std::size_t RankOutput::read(std::span<char> buffer, std::size_t most) {
  std::size_t total = 0;
  while (fd_ && total < most) {
    const ssize_t size = ::read(fd_.get(), buffer.data(), std::min(buffer.size(), most - total));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size <= 0) {
      finish_line();
      fd_.reset();
      break;
    }
    lines_.take({buffer.data(), static_cast<std::size_t>(size)}, sink_);
    total += static_cast<std::size_t>(size);
  }
  return total;
}

}  // namespace svc::agent
