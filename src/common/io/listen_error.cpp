#include "common/io/listen_error.hpp"

#include <cerrno>
#include <system_error>

namespace svc {

Error listen_error(const Endpoint& where, int error) {
  std::string cause = std::generic_category().message(error);
  if (error == EADDRINUSE) {
    cause += "; stop the other process (see `ss -ltnp`) or choose another port";
  } else if (error == EACCES) {
    cause += "; ports below 1024 need a privilege";
  } else if (error == EADDRNOTAVAIL) {
    cause += "; it is no address of this machine (see `ip address`)";
  }
  return io_failed("cannot listen on " + where.to_string(), std::move(cause));
}

}  // namespace svc
