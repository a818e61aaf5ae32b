#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/io/log.hpp"
#include "router/core/http1/forward_head.hpp"
#include "router/io/data_thread.hpp"
#include "router/io/listener.hpp"

namespace svc::router {
namespace {

constexpr int kAcceptsAtOnce = 64;

}  // namespace

bool ClientConnections::enter(const IpAddress& client, std::size_t limit) {
  const std::lock_guard lock(lock_);
  auto& open = open_[client.to_string()];
  if (open >= limit) {
    return false;
  }
  ++open;
  return true;
}

void ClientConnections::leave(const IpAddress& client) {
  const std::lock_guard lock(lock_);
  if (const auto found = open_.find(client.to_string()); found != open_.end() && --found->second == 0) {
    open_.erase(found);
  }
}

bool DataThread::accept_some() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    IpAddress peer = IpAddress::v4({});
    const int fd = accept_connection(listener_, peer);
    if (fd >= 0) {
      welcome(fd, peer);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) {
      continue;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      pause_accepting();
    }
    return false;
  }
  return true;
}

void DataThread::welcome(int fd, const IpAddress& peer) {
  const RouterSettings& settings = settings_->settings;
  stats_.connections_accepted.add();
  const bool full = plane_.connections.fetch_add(1, std::memory_order_relaxed) >= settings.max_connections;
  const bool greedy = !full && settings.max_connections_per_client > 0 &&
                      !plane_.clients.enter(peer, settings.max_connections_per_client);
  if (full || greedy) {
    plane_.connections.fetch_sub(1, std::memory_order_relaxed);
    stats_.connections_refused.add();
    stats_.refusals[static_cast<std::size_t>(FailureReason::connection_limit)].add();
    made.clear();
    if (settings_->server_tls == nullptr) {
      append_own_answer(made, full ? 503 : 429, "application/json",
                        openai_error(FailureReason::connection_limit,
                                     full ? "too many connections" : "too many connections from this address"),
                        {}, true, false, 11, "Retry-After: 1\r\n");
      [[maybe_unused]] const auto sent = ::send(fd, made.data(), made.size(), MSG_NOSIGNAL);
      // Closing over the unread request would reset the connection, and the answer with it.
      ::shutdown(fd, SHUT_WR);
      [[maybe_unused]] const auto read = ::recv(fd, in_bytes.get(), kInBytes, MSG_DONTWAIT);
    }
    ::close(fd);
    return;
  }
  stats_.connections_open.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t id = next_session_++;
  auto session = std::make_unique<ClientSession>(*this, fd, peer, id, settings.max_connections_per_client > 0);
  ClientSession& started = *session;
  sessions_.emplace(id, std::move(session));
  started.start();
}

void DataThread::forget(ClientSession& session) {
  const auto found = sessions_.find(session.id());
  if (found == sessions_.end()) {
    return;
  }
  plane_.connections.fetch_sub(1, std::memory_order_relaxed);
  stats_.connections_open.fetch_sub(1, std::memory_order_relaxed);
  if (session.counted_by_client()) {
    plane_.clients.leave(session.peer());
  }
  loop_.retire(std::move(found->second));
  sessions_.erase(found);
  check_drained();
}

void DataThread::pause_accepting() {
  static const Logger log("router");
  if (!listening_) {
    return;
  }
  log.warn("accepting connections fails for the time being", {{"error", std::string(std::strerror(errno))}});
  loop_.remove(listener_, accepts_);
  listening_ = false;
}

void DataThread::close_listener() {
  if (listener_ < 0) {
    return;
  }
  if (listening_) {
    loop_.remove(listener_, accepts_);
    listening_ = false;
  }
  ::close(listener_);
  listener_ = -1;
}

}  // namespace svc::router
