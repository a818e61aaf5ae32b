#include "common/io/acceptor.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>

#include "common/io/listen_error.hpp"

namespace svc {
namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

}  // namespace

Acceptor::Acceptor(asio::any_io_executor executor) : acceptor_(executor), pause_(executor) {}

Result<void> Acceptor::bind(const ListenSettings& settings) {
  error_code ec;
  const auto address = asio::ip::make_address(settings.host, ec);
  if (ec) {
    return invalid("the listen address '" + settings.host + "' is not an IPv4 or IPv6 address");
  }
  const tcp::endpoint endpoint(address, settings.port);
  const auto step = [&ec](auto&& action) {
    if (!ec) {
      action();
    }
  };
  step([&] { acceptor_.open(endpoint.protocol(), ec); });
  step([&] { acceptor_.set_option(tcp::acceptor::reuse_address(true), ec); });
  if (settings.reuse_port) {
    step([&] { acceptor_.set_option(ReusePort(true), ec); });
  }
  if (address.is_v6()) {
    step([&] { acceptor_.set_option(asio::ip::v6_only(false), ec); });
  }
  step([&] { acceptor_.bind(endpoint, ec); });
  step([&] { acceptor_.listen(settings.backlog, ec); });
  if (ec) {
    error_code ignored;
    acceptor_.close(ignored);
    return listen_error({settings.host, settings.port}, ec.value());
  }
  return {};
}

std::uint16_t Acceptor::port() const {
  error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

asio::awaitable<void> Acceptor::run(std::function<void(tcp::socket)> on_socket,
                                    std::function<void(const std::string&)> on_trouble,
                                    std::function<std::uint64_t()> random) {
  Backoff backoff({std::chrono::milliseconds(10), std::chrono::seconds(1)});
  while (!stopped_) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTok);
    if (stopped_) {
      break;
    }
    if (!ec) {
      backoff.reset();
      on_socket(std::move(socket));
      continue;
    }
    if (ec == asio::error::connection_aborted) {
      continue;
    }
    on_trouble(ec.message());
    pause_.expires_after(backoff.next(random()));
    co_await pause_.async_wait(kTok);
  }
}

void Acceptor::stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace svc
