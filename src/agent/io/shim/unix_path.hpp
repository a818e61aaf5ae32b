// Addresses of Unix sockets whose path may be longer than the 107 bytes that an address holds.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "common/io/unique_fd.hpp"

namespace svc::agent {

/// The address of `path`; a long one by way of its opened folder, so that only the file's own name must fit (about 80
/// bytes). Valid while the object lives.
class UnixPath {
 public:
  explicit UnixPath(const std::string& path);
  /// False: the folder cannot be opened, or the name is too long.
  [[nodiscard]] bool fits() const { return fits_; }
  [[nodiscard]] const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }
  [[nodiscard]] socklen_t size() const { return sizeof address_; }

 private:
  UniqueFd folder_;
  sockaddr_un address_{};
  bool fits_ = false;
};

}  // namespace svc::agent
