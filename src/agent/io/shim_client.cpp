#include "agent/io/shim_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "agent/io/shim/unix_path.hpp"
#include "agent/io/shim_connection.hpp"
#include "agent/io/shim_start.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

constexpr Duration kLockAgain = std::chrono::milliseconds(20);
/// A shim greets whoever connects; one that cannot is stopped or stuck.
constexpr Duration kGreetingWithin = std::chrono::seconds(2);

struct Caller {
  UniqueFd socket;
  pid_t shim = 0;
};

Caller connect_to(const std::string& path) {
  Caller caller{UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), 0};
  const UnixPath address(path);
  ucred peer{};
  socklen_t size = sizeof peer;
  // The credentials of a listener are those of the process that called listen(2).
  if (!address.fits() || ::connect(caller.socket.get(), address.address(), address.size()) != 0 ||
      ::getsockopt(caller.socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    caller.socket.reset();
  }
  caller.shim = peer.pid;
  return caller;
}

bool has_message(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool has_ended(int fd) {
  pollfd state{fd, 0, 0};
  return ::poll(&state, 1, 0) != 0;
}

}  // namespace

ShimClient::ShimClient(asio::any_io_executor executor, ShimHandlers handlers)
    : executor_(std::move(executor)), handlers_(std::make_shared<ShimHandlers>(std::move(handlers))) {}

ShimClient::~ShimClient() {
  for (const auto& connection : {connection_, asked_}) {
    if (connection) connection->close();
  }
}

asio::awaitable<Result<void>> ShimClient::launch(RunFiles files, LaunchOrder order, Deadline deadline) {
  const std::weak_ptr<ShimHandlers> alive = handlers_;
  order.socket_path = files.socket;
  const std::string message = encode(order);
  if (message.size() > kMaxShimMessage) co_return too_large("the commands of '" + order.name + "' are too long");
  if (auto made = make_folder_of(files.lock); made.has_error()) co_return made.error();

  Timer timer(executor_);
  Result<int> lock = take_lock(files.lock);
  while (lock.has_error() && lock.error().retryable) {
    if (deadline.expired(steady_now())) {
      co_return unavailable("an earlier run of '" + order.name + "' has not ended (process " + lock_holder(files.lock) +
                            " holds '" + files.lock + "')");
    }
    timer.expires_after(kLockAgain);
    const auto [ec] = co_await timer.async_wait(kTok);
    if (ec || alive.expired()) co_return cancelled("the launch of '" + order.name + "' was given up");
    lock = take_lock(files.lock);
  }
  if (lock.has_error()) co_return lock.error();
  const UniqueFd held(*lock);

  auto shim = start_shim(order.name, held.get());
  if (shim.has_error()) co_return shim.error();
  ChildWatch::know(shim->pid);
  connection_ = std::make_shared<Connection>(executor_, handlers_, shim->connection.release(), shim->pid, true);
  connection_->send(message);
  connection_->start();
  co_return Result<void>();
}

asio::awaitable<bool> ShimClient::attach(RunFiles files) {
  Caller caller = connect_to(files.socket);
  if (!caller.socket) co_return false;
  const auto connection =
      std::make_shared<Connection>(executor_, handlers_, caller.socket.release(), caller.shim, false);
  asked_ = connection;
  connection->timer.expires_after(kGreetingWithin);
  connection->timer.async_wait([connection](const error_code& ec) {
    // It may have been on its way when the greeting came.
    if (!ec && !connection->greeted && connection->socket.is_open()) connection->socket.cancel();
  });
  const auto [ec] = co_await connection->socket.async_wait(asio::posix::descriptor_base::wait_read, kTok);
  if (connection->closed) co_return false;  // this client was destroyed meanwhile
  asked_.reset();
  connection->greeted = true;
  connection->timer.cancel();
  // Refused, ended meanwhile, or without an answer: whoever wants to start a run will see by the lock.
  if (ec || !has_message(connection->socket.native_handle())) {
    // With its listener gone it may have been another process that was looked at.
    if (!has_ended(connection->socket.native_handle())) silent_shim_ = connection->facts;
    connection->close();
    co_return false;
  }
  connection_ = connection;
  connection_->start();
  co_return true;
}

void ShimClient::give(const ShimOrder& order) {
  if (connection_) connection_->send(encode(order));
}

void ShimClient::stop(Duration grace) { give(StopOrder{grace}); }
void ShimClient::reopen_log() { give(ReopenLogOrder{}); }
void ShimClient::settle_port(std::uint16_t port) { give(SettlePortOrder{port}); }
void ShimClient::end_with_agent() { give(EndWithAgentOrder{}); }
bool ShimClient::has_unread() const { return connection_ && connection_->has_unread(); }

std::optional<ProcessFacts> ShimClient::shim_facts() const {
  return connection_ ? std::optional(connection_->facts) : silent_shim_;
}

pid_t ShimClient::shim_pid() const { return connection_ ? connection_->shim : 0; }

}  // namespace svc::agent
