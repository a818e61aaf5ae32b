#include "common/io/port_check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/io/proc_scan.hpp"
#include "common/io/unique_fd.hpp"

namespace svc {
namespace {

/// 0, or errno of bind or listen.
int try_listen(std::uint16_t port, const std::string& address) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(port);
  const bool is_v6 = ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1;
  if (!is_v6 && ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) != 1) v4.sin_addr.s_addr = htonl(INADDR_ANY);
  const UniqueFd fd(::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  const int on = 1;
  // Connections that were closed a moment ago do not count.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* const to = is_v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  const socklen_t size = is_v6 ? sizeof v6 : sizeof v4;
  // Linux lets two sockets with SO_REUSEADDR bind one port; only listen() tells them apart.
  return ::bind(fd.get(), to, size) != 0 || ::listen(fd.get(), 1) != 0 ? errno : 0;
}

/// "0100007F" or four such groups, each a word in the machine's byte order.
std::optional<IpAddress> address_of(std::string_view hex) {
  constexpr std::size_t kDigits = 8;
  std::array<std::uint8_t, 16> bytes{};
  if (hex.size() != kDigits && hex.size() != 4 * kDigits) return std::nullopt;
  for (std::size_t at = 0; at < hex.size(); at += kDigits) {
    std::uint32_t word = 0;
    if (std::from_chars(hex.data() + at, hex.data() + at + kDigits, word, 16).ec != std::errc{}) return std::nullopt;
    std::memcpy(&bytes[at / 2], &word, sizeof word);
  }
  return hex.size() == kDigits ? IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]}) : IpAddress::v6(bytes);
}

struct Listener {
  std::optional<IpAddress> address;
  std::string socket;  ///< as /proc/PID/fd shows it: "socket:[123]"
};

/// The sockets that listen on the port, which may be several.
std::vector<Listener> listeners(std::uint16_t port) {
  std::vector<Listener> sockets;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::istringstream lines(read_small_file(path));
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
      const auto colon = local.rfind(':');
      if (state == "0A" && colon != std::string::npos && std::stoul(local.substr(colon + 1), nullptr, 16) == port) {
        sockets.push_back({address_of(std::string_view(local).substr(0, colon)), "socket:[" + inode + "]"});
      }
    }
  }
  return sockets;
}

std::set<std::string> listening_sockets(std::uint16_t port) {
  std::set<std::string> sockets;
  for (Listener& each : listeners(port)) sockets.insert(std::move(each.socket));
  return sockets;
}

/// Those that a connection to the address gets to: bound to just that one, else to all of its family, else to all of IPv6,
/// which take IPv4 as well.
std::set<std::string> sockets_reached(std::uint16_t port, const IpAddress& address) {
  constexpr std::size_t kRanks = 3;
  std::array<std::set<std::string>, kRanks> by_rank;
  for (const Listener& each : listeners(port)) {
    if (!each.address) continue;
    if (*each.address == address) {
      by_rank[0].insert(each.socket);
    } else if (each.address->is_unspecified() && each.address->is_v4() == address.is_v4()) {
      by_rank[1].insert(each.socket);
    } else if (each.address->is_unspecified() && address.is_v4()) {
      by_rank[2].insert(each.socket);
    }
  }
  const auto first = std::find_if(by_rank.begin(), by_rank.end(), [](const auto& sockets) { return !sockets.empty(); });
  return first == by_rank.end() ? std::set<std::string>{} : *first;
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

std::string why_port_is_taken(std::uint16_t port, const std::string& address) {
  const int error = try_listen(port, address);
  if (error == 0) return {};
  const std::string number = std::to_string(port);
  if (error != EADDRINUSE) {
    return "port " + number + " cannot be listened on: " + std::generic_category().message(error);
  }
  const pid_t holder = holder_of(listening_sockets(port));
  return "port " + number + " is taken by " + (holder == 0 ? "another process" : described(holder));
}

pid_t listener_at(std::uint16_t port, const IpAddress& address) { return holder_of(sockets_reached(port, address)); }

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

}  // namespace svc
