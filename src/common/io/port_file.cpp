#include "common/io/port_file.hpp"

#include <cstdio>
#include <fstream>

namespace svc {

Result<void> write_port_file(const std::string& path, std::uint16_t port) {
  if (path.empty()) {
    return {};
  }
  const std::string partial = path + ".new";
  std::ofstream out(partial);
  out << port << '\n';
  out.close();
  if (!out || std::rename(partial.c_str(), path.c_str()) != 0) {
    return io_failed("cannot write the port file '" + path + "'", "");
  }
  return {};
}

}  // namespace svc
