#include "agent/io/shim/agent_link.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "agent/io/shim/seq_packet.hpp"
#include "agent/io/shim/unix_path.hpp"

namespace svc::agent {
namespace {

constexpr int kBacklog = 8;

/// Of this user or root: others must not command an engine.
bool may_command(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace

Result<void> AgentLink::listen(const std::string& path) {
  const auto failed = [&path] {
    return io_failed("cannot listen at '" + path + "'", std::generic_category().message(errno));
  };
  // Safe, since the run's lock is held: nobody else listens here.
  ::unlink(path.c_str());
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const UnixPath address(path);
  if (!address.fits()) errno = ENAMETOOLONG;
  if (!socket || !address.fits()) return failed();
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket.get(), address.address(), address.size());
  ::umask(before);
  if (bound != 0 || ::listen(socket.get(), kBacklog) != 0) return failed();
  listening_ = std::move(socket);
  path_ = path;
  return {};
}

void AgentLink::stop_listening() {
  if (!listening_) return;
  ::unlink(path_.c_str());
  listening_.reset();
}

bool AgentLink::accept() {
  UniqueFd caller(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!caller || connected() || !may_command(caller.get())) return false;
  agent_ = std::move(caller);
  return true;
}

std::optional<ShimOrder> AgentLink::receive() {
  std::string message;
  while (connected()) {
    const PacketResult result = receive_packet(agent_.get(), message);
    if (result == PacketResult::not_now) break;
    if (result == PacketResult::ended) {
      agent_.reset();
      waiting_.clear();
      break;
    }
    auto order = decode_order(message);
    // What is not understood is a newer agent's, and no reason to leave it.
    if (order.has_value()) return std::move(*order);
  }
  return std::nullopt;
}

bool AgentLink::send(const ShimReport& report) {
  if (!connected()) return true;
  waiting_.push_back(encode(report));
  write_waiting();
  return waiting_.empty();
}

bool AgentLink::offer(const LineReport& report) { return connected() && waiting_.empty() && write(encode(report)); }

void AgentLink::write_waiting() {
  while (wants_to_write() && write(waiting_.front())) {
    waiting_.pop_front();
  }
}

/// False: not now. A lost agent takes everything, so that nothing waits for it; its end is read in receive().
bool AgentLink::write(const std::string& message) {
  return send_packet(agent_.get(), message) != PacketResult::not_now;
}

}  // namespace svc::agent
