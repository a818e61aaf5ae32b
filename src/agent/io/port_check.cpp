#include "agent/io/port_check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "agent/io/shim/proc_scan.hpp"

namespace svc::agent {
namespace {

/// 0, or errno of bind or listen.
int try_listen(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // connections that were closed a moment ago do not count
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  int error = 0;
  // Linux lets two sockets with SO_REUSEADDR bind one port; only listen() tells them apart.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 1) != 0) {
    error = errno;
  }
  ::close(fd);
  return error;
}

/// The inode of the socket that listens on the port; "" = not found.
std::string listener_inode(std::uint16_t port) {
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::istringstream lines(read_small_file(path));
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      const auto colon = local.rfind(':');
      if (state == "0A" && colon != std::string::npos && std::stoul(local.substr(colon + 1), nullptr, 16) == port) {
        return inode;
      }
    }
  }
  return {};
}

/// "pid 123 (python3)" of a process that holds the socket; "" when none may be looked at.
std::string holder_of(const std::string& inode) {
  const std::string wanted = "socket:[" + inode + "]";
  std::error_code ignored;
  for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code gone;
    for (std::filesystem::directory_iterator file(process.path() / "fd", gone), end; !gone && file != end;
         file.increment(gone)) {
      std::error_code unreadable;
      if (std::filesystem::read_symlink(file->path(), unreadable) != wanted) continue;
      std::string name = read_small_file("/proc/" + pid + "/comm");
      while (name.ends_with('\n')) name.pop_back();
      return "pid " + pid + " (" + name + ")";
    }
  }
  return {};
}

}  // namespace

std::string why_port_is_taken(std::uint16_t port) {
  const int error = try_listen(port);
  if (error == 0) return {};
  const std::string number = std::to_string(port);
  if (error != EADDRINUSE) {
    return "port " + number + " cannot be listened on: " + std::generic_category().message(error);
  }
  const std::string inode = listener_inode(port);
  const std::string holder = inode.empty() ? std::string() : holder_of(inode);
  return "port " + number + " is taken by " + (holder.empty() ? "another process" : holder);
}

}  // namespace svc::agent
