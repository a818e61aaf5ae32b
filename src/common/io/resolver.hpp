// Names to addresses, cached, with waits that a deadline really bounds.
//
// A look-up itself cannot be interrupted (getaddrinfo): it runs on Asio's background thread, and only the waiting coroutine
// gives up. Concurrent questions for one name share one look-up. One thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/deadline.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

struct ResolverSettings {
  Duration keep{std::chrono::seconds(30)};  ///< how long an answer is used again
  Duration keep_failure{std::chrono::seconds(2)};
  std::size_t max_names = 10'000;
};

class Resolver {
 public:
  using Addresses = std::vector<asio::ip::address>;

  explicit Resolver(asio::any_io_executor executor, ResolverSettings settings = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Numeric addresses are answered at once. Errors: unavailable (no such name), timed_out.
  asio::awaitable<Result<Addresses>> resolve(std::string host, Deadline deadline);

 private:
  struct Entry {
    Result<Addresses> answer;
    TimePoint expires{};
    bool pending = false;
    std::list<Timer*> waiters;
  };
  void look_up(const std::string& host, std::shared_ptr<Entry> entry);
  void make_room(TimePoint now);

  asio::any_io_executor executor_;
  ResolverSettings settings_;
  tcp::resolver resolver_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace svc
