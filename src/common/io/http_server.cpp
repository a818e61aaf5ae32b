#include "common/io/http_server.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "common/core/option_table.hpp"
#include "common/core/time_text.hpp"
#include "common/core/wire/api_error.hpp"
#include "common/io/http_session.hpp"

namespace svc {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(250);
constexpr std::size_t kScratchBytes = 64 * 1024;

}  // namespace

void add_http_options(OptionTable& options, HttpLimits& limits) {
  using namespace std::chrono_literals;
  options
      .integer("max_header_bytes", limits.header_bytes, 1024, 1024 * 1024, "largest request head; more is answered 431")
      .integer("max_connections", limits.max_connections, 1, 1'000'000,
               "open client connections; more are answered 503")
      .integer("max_connections_per_client", limits.max_connections_per_client, 0, 1'000'000,
               "open connections of one address; more are answered 429; 0 = no limit")
      .duration("idle_timeout", limits.idle_timeout, 1s, 24h, "a connection without a request is closed after this")
      .duration("header_timeout", limits.header_timeout, 100ms, 1h, "a request head must be complete within this (408)")
      .duration("body_timeout", limits.body_timeout, 100ms, 24h, "a request body must be complete within this (408)")
      .duration("write_timeout", limits.write_timeout, 100ms, 24h, "a client must have taken an answer within this");
}

HttpServer::HttpServer(asio::any_io_executor executor, std::string server_name, HttpRoutes routes,
                       HttpServerHooks hooks)
    : executor_(executor),
      server_name_(std::move(server_name)),
      routes_(std::move(routes)),
      hooks_(std::move(hooks)),
      acceptor_(executor),
      tick_(executor),
      scratch_(kScratchBytes),
      tasks_(executor,
             [this](const char* task, const std::string& what) { hooks_.on_bug(std::string(task) + ": " + what); }) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() {
  tasks_.spawn("http accept", acceptor_.run([this](tcp::socket socket) { welcome(std::move(socket)); },
                                            hooks_.on_trouble, hooks_.random));
  tasks_.spawn("http deadlines", watch_deadlines());
}

void HttpServer::welcome(tcp::socket socket) {
  error_code ec;
  const auto remote = socket.remote_endpoint(ec);
  if (ec) {
    return;
  }
  auto address = remote.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  auto peer = address.to_string();
  if (sessions_.size() >= limits_.max_connections) {
    return refuse(std::move(socket), 503, "Too many connections");
  }
  auto& of_client = clients_[peer];
  if (limits_.max_connections_per_client != 0 && of_client >= limits_.max_connections_per_client) {
    return refuse(std::move(socket), 429, "Too many connections from this address");
  }
  auto session = std::make_shared<HttpSession>(*this, std::move(socket), std::move(peer));
  ++of_client;
  session->place = sessions_.insert(sessions_.end(), session.get());
  if (!tasks_.spawn("http session", serve(session))) {
    leave(*session);
  }
}

// Best effort, without a coroutine: a flood must cost as little as it can.
void HttpServer::refuse(tcp::socket socket, int status, const char* message) {
  HttpResponse response;
  response.status = status;
  response.body = error_body(message);
  response.fields.emplace_back("Retry-After", "1");
  std::string text;
  append_head(text, response, server_name_, date(steady_now()), false);
  text += response.body;
  if (!tls_) {
    ::send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  error_code ignored;
  socket.shutdown(tcp::socket::shutdown_send, ignored);
  socket.close(ignored);
}

asio::awaitable<void> HttpServer::serve(std::shared_ptr<HttpSession> session) {
  struct Leaving {
    HttpServer& server;
    HttpSession& session;
    Leaving(HttpServer& of, HttpSession& whose) : server(of), session(whose) {}
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;
    ~Leaving() { server.leave(session); }
  };
  const Leaving leaving(*this, *session);
  co_await session->run();
}

void HttpServer::leave(HttpSession& session) {
  sessions_.erase(session.place);
  const auto client = clients_.find(session.peer());
  if (--client->second == 0) {
    clients_.erase(client);
  }
  if (draining_ && sessions_.empty()) {
    tick_.cancel();
  }
}

// One timer for all sessions: a deadline per request then costs one store, not a timer operation.
asio::awaitable<void> HttpServer::watch_deadlines() {
  while (!stopped_) {
    tick_.expires_after(kTick);
    co_await tick_.async_wait(kTok);
    const TimePoint now = steady_now();
    for (auto at = sessions_.begin(); at != sessions_.end();) {
      auto& session = **at++;
      if (session.deadline() <= now) {
        session.expire();
      }
    }
  }
}

asio::awaitable<void> HttpServer::drain(Deadline deadline) {
  draining_ = true;
  acceptor_.stop();
  const auto each = [this](auto&& action) {
    for (auto at = sessions_.begin(); at != sessions_.end();) {
      action(**at++);
    }
  };
  each([](HttpSession& session) { session.drain(); });
  Timer wait(executor_);
  while (!sessions_.empty() && !deadline.expired(steady_now())) {
    wait.expires_after(std::min<Duration>(std::chrono::milliseconds(10), deadline.left(steady_now())));
    co_await wait.async_wait(kTok);
  }
  each([](HttpSession& session) { session.cut(); });
  stopped_ = true;
  tick_.cancel();
  tasks_.close();
  co_await tasks_.join();
}

void HttpServer::stop() {
  draining_ = stopped_ = true;
  acceptor_.stop();
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    auto& session = **at++;
    session.drain();
    session.cut();
  }
  tick_.cancel();
  tasks_.close();
  tasks_.cancel();
}

std::string_view HttpServer::date(TimePoint now) {
  if (now >= date_until_) {
    date_ = http_date(wall_now());
    date_until_ = now + std::chrono::milliseconds(500);
  }
  return date_;
}

}  // namespace svc
