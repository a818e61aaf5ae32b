#include "agent/io/shim/unix_path.hpp"

#include <fcntl.h>

namespace svc::agent {

UnixPath::UnixPath(const std::string& path) {
  address_.sun_family = AF_UNIX;
  std::string text = path;
  if (text.size() >= sizeof address_.sun_path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return;
    folder_.reset(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder_) return;
    text = "/proc/self/fd/" + std::to_string(folder_.get()) + path.substr(slash);
  }
  if (text.size() >= sizeof address_.sun_path) return;
  text.copy(address_.sun_path, text.size());
  fits_ = true;
}

}  // namespace svc::agent
