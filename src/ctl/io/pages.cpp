#include "ctl/io/pages.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "common/version.hpp"

namespace svc::ctl {
namespace {

asio::awaitable<void> fetch(HttpClient& client, HttpCall call, Duration timeout, Result<HttpReply>& into) {
  into = co_await client.call(std::move(call), Deadline::after(steady_now(), timeout));
}

void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

Result<Pages> Pages::open(const PageAccess& access) {
  auto tls = make_client_tls({"", "", access.tls_ca});
  if (!tls) return tls.error();
  return Pages(access.token, *std::move(tls));
}

Result<HttpReply> Pages::get(const std::string& url, Duration timeout) const { return get_all({url}, timeout).front(); }

std::vector<Result<HttpReply>> Pages::get_all(const std::vector<std::string>& urls, Duration timeout) const {
  asio::io_context io(1);
  Resolver resolver(io.get_executor());
  HttpClient client(io.get_executor(), resolver, "infinilm-ctl/" + std::string(kVersion));
  client.set_tls(tls_);
  std::vector<Result<HttpReply>> replies(urls.size(), Result<HttpReply>(internal_error("not asked")));
  for (std::size_t i = 0; i < urls.size(); ++i) {
    auto url = parse_http_url(urls[i]);
    if (!url) {
      replies[i] = url.error();
      continue;
    }
    HttpCall call;
    call.url = *std::move(url);
    call.max_body_bytes = kMaxBodyBytes;
    if (!token_.empty()) call.fields.emplace_back("Authorization", "Bearer " + token_);
    asio::co_spawn(io, fetch(client, std::move(call), timeout, replies[i]), rethrow);
  }
  io.run();
  return replies;
}

}  // namespace svc::ctl
