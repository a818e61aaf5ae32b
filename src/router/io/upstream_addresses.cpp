#include "router/io/upstream_addresses.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "common/io/http_client.hpp"
#include "router/core/health_judge.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRefresh = 30s;
constexpr Duration kRetry = 2s;
constexpr Duration kPatience = 10s;
constexpr std::size_t kMaxAtOnce = 16;

std::optional<IpAddress> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return IpAddress::v6(bytes);
  }
  return std::nullopt;
}

}  // namespace

UpstreamAddresses::UpstreamAddresses(asio::any_io_executor executor, Resolver& resolver, Random& random,
                                     std::function<void()> changed)
    : executor_(executor), resolver_(resolver), random_(random), changed_(std::move(changed)), wake_(executor) {}

void UpstreamAddresses::configure(AddressPolicy policy, const std::string& host, std::uint16_t port) {
  policy_ = std::move(policy);
  listen_host_ = host;
  listen_port_ = port;
  find_own_addresses();
}

void UpstreamAddresses::start(TaskGroup& tasks) {
  tasks_ = &tasks;
  tasks.spawn("upstream names", run());
}

void UpstreamAddresses::stop() {
  stopped_ = true;
  wake_.cancel();
}

void UpstreamAddresses::find_own_addresses() {
  own_.clear();
  const auto listen = IpAddress::parse(listen_host_);
  listens_everywhere_ = !listen || listen->is_unspecified();
  if (!listens_everywhere_) {
    own_.insert(*listen);
    return;
  }
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return;
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (const auto address = address_of(item->ifa_addr)) own_.insert(*address);
  }
  ::freeifaddrs(list);
}

void UpstreamAddresses::fill(std::vector<Upstream>& upstreams) {
  for (auto& [host, name] : names_) name.wanted = false;
  std::map<Endpoint, std::string> problems;
  for (auto& upstream : upstreams) {
    const auto& endpoint = upstream.spec.endpoint;
    if (!IpAddress::parse(endpoint.host)) {
      const auto [name, added] = names_.try_emplace(endpoint.host);
      name->second.wanted = true;
      if (added) wake_.cancel();
    }
    upstream.addresses.clear();
    auto problem = judge(endpoint, upstream.addresses);
    if (problem.empty()) continue;
    const auto before = problems_.find(endpoint);
    const bool new_problem = before == problems_.end() || before->second != problem;
    const auto name = names_.find(endpoint.host);
    const bool still_looking = name != names_.end() && name->second.error.empty() && name->second.addresses.empty();
    if (new_problem && !still_looking) {
      log_.warn("an instance cannot be reached",
                {{"name", upstream.spec.name}, {"url", upstream.spec.url}, {"error", problem}});
    }
    problems.emplace(endpoint, std::move(problem));
  }
  problems_ = std::move(problems);
  std::erase_if(names_, [](const auto& item) { return !item.second.wanted && !item.second.looking; });
}

std::string UpstreamAddresses::problem(const Endpoint& endpoint) const {
  const auto found = problems_.find(endpoint);
  return found == problems_.end() ? "" : found->second;
}

std::string UpstreamAddresses::judge(const Endpoint& endpoint, std::vector<IpAddress>& allowed) const {
  std::vector<IpAddress> candidates;
  std::string problem;
  if (const auto numeric = IpAddress::parse(endpoint.host)) {
    candidates.push_back(*numeric);
  } else if (const auto found = names_.find(endpoint.host); found != names_.end()) {
    candidates = found->second.addresses;
    problem = found->second.error.empty() ? "its name is being looked up" : found->second.error;
  }
  for (const auto& address : candidates) {
    const bool own =
        endpoint.port == listen_port_ && (own_.contains(address) || (listens_everywhere_ && address.is_loopback()));
    if (own) {
      problem = endpoint.to_string() + " is this router itself";
    } else if (const auto refusal = policy_.refusal(address)) {
      problem = *refusal;
    } else {
      allowed.push_back(address);
    }
  }
  return allowed.empty() ? problem : "";
}

asio::awaitable<void> UpstreamAddresses::run() {
  while (!stopped_) {
    const TimePoint now = steady_now();
    TimePoint next = now + kRefresh;
    std::size_t looking = 0;
    for (const auto& [host, name] : names_) looking += name.looking ? 1U : 0U;
    for (auto& [host, name] : names_) {
      if (name.looking) continue;
      if (name.next <= now && looking < kMaxAtOnce) {
        name.looking = tasks_->spawn("look up a name", look_up(host));
        ++looking;
      } else if (name.next > now) {
        next = std::min(next, name.next);
      }
    }
    wake_.expires_at(next);
    co_await wake_.async_wait(kTok);
  }
}

asio::awaitable<void> UpstreamAddresses::look_up(std::string host) {
  const auto answer = co_await resolver_.resolve(host, Deadline::after(steady_now(), kPatience));
  const auto found = names_.find(host);
  if (found == names_.end() || stopped_) co_return;
  Name& name = found->second;
  name.looking = false;
  const std::string error_before = name.error;
  const auto addresses_before = name.addresses;
  if (answer) {
    name.addresses.clear();
    for (const auto& address : *answer) {
      const auto value = to_ip_address(address);
      if (std::find(name.addresses.begin(), name.addresses.end(), value) == name.addresses.end()) {
        name.addresses.push_back(value);
      }
    }
    name.error.clear();
  } else {
    name.error = answer.error().to_string();
  }
  name.next = steady_now() + jittered(answer ? kRefresh : kRetry, random_());
  find_own_addresses();
  wake_.cancel();
  // Servers of names rotate their answers: another order alone is no change.
  auto sorted = name.addresses;
  auto sorted_before = addresses_before;
  std::sort(sorted.begin(), sorted.end());
  std::sort(sorted_before.begin(), sorted_before.end());
  if (sorted == sorted_before) {
    name.addresses = addresses_before;
    if (error_before == name.error || !name.addresses.empty()) co_return;
  }
  changed_();
}

}  // namespace svc::router
