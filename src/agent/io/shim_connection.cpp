#include "agent/io/shim_connection.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/io/shim/seq_packet.hpp"
#include "common/io/proc_scan.hpp"

namespace svc::agent {

ShimClient::Connection::Connection(asio::any_io_executor executor, std::shared_ptr<ShimHandlers> given, int fd,
                                   pid_t shim_process, bool child)
    : handlers(std::move(given)),
      socket(executor, fd),
      process(executor),
      timer(executor),
      shim(shim_process),
      is_child(child) {
  // Its pid cannot be another's yet: a child is not reaped, and the other one has its socket open.
  const auto handle = static_cast<int>(::syscall(SYS_pidfd_open, shim, 0U));
  if (handle >= 0) process.assign(handle);
  facts = facts_of(shim).value_or(ProcessFacts{});
}

void ShimClient::Connection::wait_readable() {
  socket.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](const error_code& ec) {
    if (!ec && !self->closed) self->read();
  });
}

void ShimClient::Connection::read() {
  // Others have a turn too when an engine talks without end.
  constexpr int kAtOnce = 32;
  std::string message;
  for (int count = 0; count < kAtOnce; ++count) {
    const PacketResult result = receive_packet(socket.native_handle(), message);
    if (result == PacketResult::not_now) break;
    if (result == PacketResult::ended) {
      socket.close();
      socket_ended_at = steady_now();
      await_end();
      return;
    }
    const auto report = decode_report(message);
    if (!report) continue;  // a newer shim's
    gone_reported = gone_reported || std::holds_alternative<GoneReport>(*report);
    handlers->on_report(*report);
    if (closed) return;
  }
  wait_readable();
}

void ShimClient::Connection::send(std::string message) {
  if (!socket.is_open()) return;
  waiting.push_back(std::move(message));
  if (waiting.size() == 1) write_waiting();
}

void ShimClient::Connection::write_waiting() {
  while (socket.is_open() && !waiting.empty()) {
    // One that is gone takes everything; the end is noticed where it is read.
    if (send_packet(socket.native_handle(), waiting.front()) != PacketResult::not_now) {
      waiting.pop_front();
      continue;
    }
    socket.async_wait(asio::posix::descriptor_base::wait_write, [self = shared_from_this()](const error_code& ec) {
      if (!ec && !self->closed) self->write_waiting();
    });
    return;
  }
}

bool ShimClient::Connection::has_unread() {
  int bytes = 0;
  if (!socket.is_open()) return false;
  return !waiting.empty() || (::ioctl(socket.native_handle(), SIOCOUTQ, &bytes) == 0 && bytes > 0);
}

/// The connection has ended, and the process is about to. One whose run is over may be held up by the disk of its log,
/// for as long as that hangs: it is not waited for.
void ShimClient::Connection::await_end() {
  constexpr auto kLookAgain = std::chrono::milliseconds(10);  // without a pidfd
  constexpr Duration kPatience = std::chrono::seconds(2);
  const bool over = is_over();
  if (over || (gone_reported && steady_now() >= socket_ended_at + kPatience)) {
    ended(over);
    return;
  }
  const auto again = [self = shared_from_this()](const error_code&) {
    if (!self->closed) self->await_end();  // also when its patience has ended
  };
  if (process.is_open()) {
    process.async_wait(asio::posix::descriptor_base::wait_read, again);
    if (!gone_reported) return;
    timer.expires_at(socket_ended_at + kPatience);
    timer.async_wait([self = shared_from_this()](const error_code& ec) {
      if (!ec && !self->closed) self->process.cancel();
    });
  } else {
    timer.expires_after(kLookAgain);
    timer.async_wait(again);
  }
}

bool ShimClient::Connection::is_over() const {
  if (is_child) return ::waitpid(shim, nullptr, WNOHANG) != 0;
  // Whoever is its parent may leave it a zombie for long.
  const auto now = facts_of(shim);
  return !now || has_ended(*now);
}

void ShimClient::Connection::ended(bool over) {
  if (over) {
    if (is_child) ChildWatch::forget(shim);
    shim = 0;
  }
  close();
  handlers->on_end(gone_reported);
}

void ShimClient::Connection::close() {
  closed = true;
  socket.close();
  process.close();
  timer.cancel();
  if (is_child && shim != 0) ChildWatch::leave(shim);
  shim = 0;
}

}  // namespace svc::agent
