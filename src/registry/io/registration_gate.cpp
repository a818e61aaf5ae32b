#include "registry/io/registration_gate.hpp"

#include <array>

namespace svc::registry {
namespace {

constexpr Duration kLookUpTime = std::chrono::seconds(3);

Error refused(std::string message) {
  Error error;
  error.code = Errc::forbidden;
  error.source = ErrorSource::client;
  error.message = std::move(message);
  return error;
}

}  // namespace

asio::awaitable<Result<void>> RegistrationGate::admit(const wire::ServiceSpec& spec, bool addresses) {
  if (strict_) {
    if (auto why = roster_.refusal(spec.name, spec.host)) {
      co_return refused(*std::move(why));
    }
  }
  if (!addresses) {
    co_return Result<void>{};
  }
  auto verdict = co_await admit_host(spec.host, "'host'");
  const auto facts = wire::facts_of(spec.metadata_json);
  const std::array<std::pair<const char*, std::string_view>, 2> urls{
      {{"'url'", spec.url}, {"'metadata.health_url'", facts.health_url}}};
  for (const auto& [what, url] : urls) {
    if (!verdict || url.empty()) {
      continue;
    }
    const auto parsed = parse_http_url(url);
    if (!parsed) {
      co_return invalid(std::string(what) + " must be an http or https URL: " + parsed.error().message);
    }
    const bool elsewhere = !same_host(parsed->endpoint.host, spec.host);
    if (strict_ && elsewhere) {
      co_return refused(std::string(what) + " is not allowed: its host is not the registered host " + spec.host);
    }
    if (elsewhere) {
      verdict = co_await admit_host(parsed->endpoint.host, what);
    }
  }
  co_return verdict;
}

asio::awaitable<Result<void>> RegistrationGate::admit_host(std::string host, std::string what) {
  host = std::string(without_brackets(host));
  const auto& policy = client_.address_policy();
  if (looks_like_odd_ipv4(host)) {
    co_return refused(what + " is not allowed: '" + host + "' is an IPv4 address in an ambiguous form");
  }
  if (const auto address = IpAddress::parse(host)) {
    if (const auto why = policy.refusal(*address)) {
      co_return refused(what + " is not allowed: " + *why);
    }
    co_return Result<void>{};
  }
  if (policy.allow.empty()) {
    co_return Result<void>{};
  }
  const auto addresses = co_await client_.resolve(host, Deadline::after(steady_now(), kLookUpTime));
  if (!addresses && addresses.error().retryable) {
    co_return unavailable(what + " cannot be judged for the moment: " + addresses.error().message);
  }
  if (!addresses) {
    co_return refused(what + " is not allowed: " + addresses.error().message +
                      ", so it is not known to be in an allowed network");
  }
  for (const auto& address : *addresses) {
    if (const auto why = policy.refusal(to_ip_address(address))) {
      co_return refused(what + " is not allowed: " + *why);
    }
  }
  co_return Result<void>{};
}

}  // namespace svc::registry
