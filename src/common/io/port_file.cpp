#include "common/io/port_file.hpp"

#include "common/io/replace_file.hpp"

namespace svc {

Result<void> write_port_file(const std::string& path, std::uint16_t port) {
  if (path.empty()) {
    return {};
  }
  if (const auto written = replace_file(path, std::to_string(port) + '\n'); !written) {
    return io_failed("cannot write the port file '" + path + "'", written.error().cause);
  }
  return {};
}

}  // namespace svc
