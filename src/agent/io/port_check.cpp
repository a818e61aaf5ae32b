#include "agent/io/port_check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <span>
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

/// As /proc/PID/fd shows them ("socket:[123]"): the sockets that listen on the port, which may be several.
std::set<std::string> listening_sockets(std::uint16_t port) {
  std::set<std::string> sockets;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::istringstream lines(read_small_file(path));
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      const auto colon = local.rfind(':');
      if (state == "0A" && colon != std::string::npos && std::stoul(local.substr(colon + 1), nullptr, 16) == port) {
        sockets.insert("socket:[" + inode + "]");
      }
    }
  }
  return sockets;
}

bool holds_one_of(const std::filesystem::path& process, const std::set<std::string>& sockets) {
  std::error_code gone;
  for (std::filesystem::directory_iterator file(process / "fd", gone), end; !gone && file != end;
       file.increment(gone)) {
    std::error_code unreadable;
    if (sockets.contains(std::filesystem::read_symlink(file->path(), unreadable).string())) return true;
  }
  return false;
}

/// A process that holds one of the sockets; 0 when there is none that may be looked at.
pid_t holder_of(const std::set<std::string>& sockets) {
  if (sockets.empty()) return 0;
  for (const ProcessFacts& process : scan_processes()) {
    if (holds_one_of("/proc/" + std::to_string(process.pid), sockets)) return process.pid;
  }
  return 0;
}

bool holds_one_of(std::span<const ProcessFacts> processes, const std::set<std::string>& sockets) {
  return std::any_of(processes.begin(), processes.end(), [&sockets](const ProcessFacts& process) {
    return holds_one_of("/proc/" + std::to_string(process.pid), sockets);
  });
}

std::string described(pid_t pid) {
  std::string name = read_small_file("/proc/" + std::to_string(pid) + "/comm");
  while (name.ends_with('\n')) name.pop_back();
  return "pid " + std::to_string(pid) + " (" + name + ")";
}

}  // namespace

std::string why_port_is_taken(std::uint16_t port) {
  const int error = try_listen(port);
  if (error == 0) return {};
  const std::string number = std::to_string(port);
  if (error != EADDRINUSE) {
    return "port " + number + " cannot be listened on: " + std::generic_category().message(error);
  }
  const pid_t holder = holder_of(listening_sockets(port));
  return "port " + number + " is taken by " + (holder == 0 ? "another process" : described(holder));
}

PortOwner owner_of_port(std::uint16_t port, pid_t shim) {
  const auto sockets = listening_sockets(port);
  if (sockets.empty()) return {};
  if (holds_one_of(scan_descendants(shim), sockets)) return {PortOwner::Who::the_run};
  const pid_t holder = holder_of(sockets);
  if (holder == 0) return {};
  // The run may have forked it a moment ago.
  if (holds_one_of(scan_descendants(shim), sockets)) return {PortOwner::Who::the_run};
  return {PortOwner::Who::somebody_else, described(holder)};
}

}  // namespace svc::agent
