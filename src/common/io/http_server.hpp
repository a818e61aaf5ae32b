// The HTTP/1.1 server of every daemon's own API: small JSON requests, limits on everything, deadlines that cut slow and idle
// clients, TLS, and an orderly drain. Not for proxied traffic.
//
// One thread: everything runs on the executor given. Every refusal is a JSON error of the form {"error": "..."}.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/deadline.hpp"
#include "common/core/result.hpp"
#include "common/io/acceptor.hpp"
#include "common/io/asio_aliases.hpp"
#include "common/io/http_message.hpp"
#include "common/io/route_table.hpp"
#include "common/io/task_group.hpp"
#include "common/io/tls.hpp"

namespace svc {

class OptionTable;

struct HttpLimits {
  std::size_t header_bytes = 16 * 1024;               ///< request line and fields; more is 431
  std::size_t max_connections = 16'384;               ///< more get 503
  std::size_t max_connections_per_client = 256;       ///< by address; more get 429; 0 = no limit
  Duration idle_timeout{std::chrono::seconds(75)};    ///< between requests
  Duration header_timeout{std::chrono::seconds(10)};  ///< from the first byte of a head to its last (408), and for TLS
  Duration body_timeout{std::chrono::seconds(30)};    ///< for the whole body (408)
  Duration write_timeout{std::chrono::seconds(60)};   ///< for the whole answer
};

/// Declares the limits above as settings, the same in every daemon.
void add_http_options(OptionTable& options, HttpLimits& limits);

/// What a client must show to use a route.
enum class Access { open, read, write };

struct HttpRoute {
  std::function<asio::awaitable<HttpResponse>(const HttpRequest&)> handle;
  Access access = Access::read;
  std::size_t body_limit = 0;  ///< more is 413
  bool may_wait = false;       ///< a long poll: the request carries a WaitSignal
};

struct HttpExchange {
  std::string_view method, path, pattern, peer;  ///< pattern "" when no route was reached
  int status = 0;
  Duration took{};
};

struct HttpServerHooks {
  /// Called before the body is read; an answer refuses the request.
  std::function<std::optional<HttpResponse>(const HttpRoute&, const HttpRequest&)> authorize;
  std::function<void(const HttpExchange&)> on_exchange;
  std::function<void(const std::string& what)> on_bug;      ///< an exception escaped a handler (answered 500)
  std::function<void(const std::string& what)> on_trouble;  ///< accept failed for the time being
  std::function<std::uint64_t()> random;
};

using HttpRoutes = RouteTable<HttpRoute>;

class HttpSession;

class HttpServer {
 public:
  HttpServer(asio::any_io_executor executor, std::string server_name, HttpRoutes routes, HttpServerHooks hooks);
  ~HttpServer();  ///< only after drain() or when nothing was started
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Takes effect for new requests; may be called at any time.
  void set_limits(const HttpLimits& limits) { limits_ = limits; }
  /// nullptr: plain HTTP. New connections use it, open ones keep theirs.
  void set_tls(TlsContext context) { tls_ = std::move(context); }

  Result<void> bind(const ListenSettings& settings) { return acceptor_.bind(settings); }
  std::uint16_t port() const { return acceptor_.port(); }
  void start();

  /// Stops accepting, ends idle connections and long polls, lets requests in progress finish (their answers say
  /// Connection: close), and cuts what is left at the deadline.
  asio::awaitable<void> drain(Deadline deadline);

  /// Everything down at once: connections are cut, handlers cancelled. The executor runs out of this server's work.
  void stop();

  std::size_t connections() const { return sessions_.size(); }

 private:
  friend class HttpSession;

  void welcome(tcp::socket socket);
  void refuse(tcp::socket socket, int status, const char* message);
  asio::awaitable<void> serve(std::shared_ptr<HttpSession> session);
  asio::awaitable<void> watch_deadlines();
  std::string_view date(TimePoint now);
  void leave(HttpSession& session);

  asio::any_io_executor executor_;
  std::string server_name_;
  HttpRoutes routes_;
  HttpServerHooks hooks_;
  HttpLimits limits_;
  TlsContext tls_;
  Acceptor acceptor_;
  Timer tick_;
  std::list<HttpSession*> sessions_;
  std::unordered_map<std::string, std::size_t> clients_;
  std::vector<char> scratch_;  ///< every session reads through it
  std::string date_;
  TimePoint date_until_{};
  bool draining_ = false;
  bool stopped_ = false;
  TaskGroup tasks_;  ///< last: tasks refer to all of the above
};

}  // namespace svc
