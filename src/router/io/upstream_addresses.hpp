// The addresses of the upstreams. Numeric hosts are their own; names are looked up in the background, again every 30
// s, and the last good answer stays while a look-up fails: no request ever waits for a name. An address is left out
// when the address policy refuses it, or when it is this router's own (a request would go round for ever).
//
// Control thread only.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/core/address_policy.hpp"
#include "common/io/log.hpp"
#include "common/io/random.hpp"
#include "common/io/resolver.hpp"
#include "common/io/task_group.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

class UpstreamAddresses {
 public:
  /// `changed`: a name has other addresses now, so fill() is due. All references outlive this.
  UpstreamAddresses(asio::any_io_executor executor, Resolver& resolver, Random& random, std::function<void()> changed);

  /// `host`: what this router listens on; any address of this machine counts as its own when that is a wildcard.
  void configure(AddressPolicy policy, const std::string& host, std::uint16_t port);
  void start(TaskGroup& tasks);
  void stop();

  /// Sets `addresses` of each, begins to look up names that are new and forgets those that are not there any more.
  void fill(std::vector<Upstream>& upstreams);
  /// Why an upstream has no address; "" when it has one.
  [[nodiscard]] std::string problem(const Endpoint& endpoint) const;

 private:
  struct Name {
    std::vector<IpAddress> addresses;  // the last good answer
    std::string error;
    TimePoint next{};
    bool looking = false;
    bool wanted = true;
  };
  asio::awaitable<void> run();
  asio::awaitable<void> look_up(std::string host);
  std::string judge(const Endpoint& endpoint, std::vector<IpAddress>& allowed) const;
  void find_own_addresses();

  asio::any_io_executor executor_;
  Resolver& resolver_;
  Random& random_;
  std::function<void()> changed_;
  AddressPolicy policy_;
  std::string listen_host_;
  std::uint16_t listen_port_ = 0;
  std::set<IpAddress> own_;
  bool listens_everywhere_ = true;
  std::map<std::string, Name, std::less<>> names_;
  std::map<Endpoint, std::string> problems_;
  Timer wake_;
  TaskGroup* tasks_ = nullptr;
  bool stopped_ = false;
  Logger log_{"upstream"};
};

}  // namespace svc::router
