// The resolver over look-ups that the test answers.
#include "common/io/resolver.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <optional>

#include "tests/support/http_fixture.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using Addresses = Resolver::Addresses;

const Addresses kOne{asio::ip::make_address("10.0.0.1")};
const Addresses kTwo{asio::ip::make_address("10.0.0.2"), asio::ip::make_address("10.0.0.3")};

class ResolverTest : public test::HttpFixture {
 public:
  using Done = std::function<void(const error_code&, Addresses)>;

  Resolver make(ResolverSettings settings) {
    return Resolver(io_.get_executor(), settings, [this](const std::string& host, Done done) {
      ++asked_;
      pending_[host] = std::move(done);
      if (instant_) answer(host, *instant_);
    });
  }
  /// No addresses: the look-up fails.
  void answer(const std::string& host, const Addresses& addresses) {
    const auto done = std::move(pending_.at(host));
    pending_.erase(host);
    asio::post(io_, [this, done, addresses] { done(addresses.empty() ? failure_ : error_code(), addresses); });
  }
  Result<Addresses> resolve(Resolver& resolver, const std::string& host, Duration limit = 10s) {
    Result<Addresses> result = internal_error("not called");
    run([](Resolver& r, std::string h, Duration l, Result<Addresses>& out) -> asio::awaitable<void> {
      out = co_await r.resolve(std::move(h), Deadline::after(steady_now(), l));
    }(resolver, host, limit, result));
    return result;
  }

  int asked_ = 0;
  std::map<std::string, Done> pending_;
  std::optional<Addresses> instant_;
  error_code failure_ = asio::error::host_not_found;
};

/// Every answer is old at once.
ResolverSettings forgetful() {
  ResolverSettings settings;
  settings.keep = settings.keep_failure = Duration::zero();
  return settings;
}

TEST_F(ResolverTest, NumericAddress_AnsweredWithoutLookUp) {
  Resolver resolver = make({});
  EXPECT_EQ(*resolve(resolver, "::1"), Addresses{asio::ip::make_address("::1")});
  EXPECT_EQ(asked_, 0);
}

TEST_F(ResolverTest, Answer_UsedAgainWhileItIsFresh) {
  Resolver resolver = make({});
  instant_ = kTwo;
  EXPECT_EQ(*resolve(resolver, "a"), kTwo);
  EXPECT_EQ(*resolve(resolver, "a"), kTwo);
  EXPECT_EQ(asked_, 1);
}

TEST_F(ResolverTest, NextLookUpHangs_TheLastGoodAnswerIsGivenAtOnce) {
  Resolver resolver = make(forgetful());
  instant_ = kOne;
  EXPECT_EQ(*resolve(resolver, "a"), kOne);
  instant_.reset();
  EXPECT_EQ(*resolve(resolver, "a"), kOne);
  EXPECT_EQ(*resolve(resolver, "a"), kOne);
  EXPECT_EQ(asked_, 2) << "they share one look-up";
  answer("a", kTwo);
  io_.restart();
  io_.poll();
  EXPECT_EQ(*resolve(resolver, "a"), kTwo);
  answer("a", {});
  io_.restart();
  io_.poll();
}

TEST_F(ResolverTest, NextLookUpFails_TheLastGoodAnswerStandsInUntilItIsTooOld) {
  auto settings = forgetful();
  Resolver resolver = make(settings);
  settings.keep_stale = Duration::zero();
  Resolver strict = make(settings);
  for (Resolver* each : {&resolver, &strict}) {
    instant_ = kOne;
    EXPECT_EQ(*resolve(*each, "a"), kOne);
    instant_ = Addresses{};
    const auto again = resolve(*each, "a");
    EXPECT_EQ(again.has_value(), each == &resolver);
  }
  const auto never = resolve(resolver, "b");
  ASSERT_FALSE(never.has_value());
  EXPECT_EQ(never.error().code, Errc::unavailable);
}

TEST_F(ResolverTest, HangingLookUp_EndsWithTheDeadline) {
  Resolver resolver = make({});
  const auto result = resolve(resolver, "a", 50ms);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::timed_out);
}

TEST_F(ResolverTest, TooManyPending_UnavailableAtOnceButKnownNamesGoOn) {
  auto settings = forgetful();
  settings.max_pending = 2;
  Resolver resolver = make(settings);
  instant_ = kOne;
  EXPECT_EQ(*resolve(resolver, "known"), kOne);
  instant_.reset();
  EXPECT_EQ(resolve(resolver, "a", 1ms).error().code, Errc::timed_out);
  EXPECT_EQ(resolve(resolver, "b", 1ms).error().code, Errc::timed_out);
  const auto refused = resolve(resolver, "c");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(*resolve(resolver, "known"), kOne);
  EXPECT_EQ(asked_, 3);
  instant_ = kTwo;
  answer("a", kOne);
  io_.restart();
  io_.poll();
  EXPECT_EQ(*resolve(resolver, "c"), kTwo) << "there is room again";
}

TEST_F(ResolverTest, AnswerAfterTheEnd_IsHarmless) {
  {
    Resolver resolver = make({});
    EXPECT_EQ(resolve(resolver, "a", 1ms).error().code, Errc::timed_out);
  }
  answer("a", kOne);
  io_.restart();
  EXPECT_EQ(io_.poll(), 1U);
}

TEST_F(ResolverTest, Failure_IsRetryableUnlessThereIsNoSuchName) {
  Resolver resolver = make({});
  instant_ = Addresses{};
  const std::pair<error_code, bool> rows[] = {{asio::error::host_not_found, false},
                                              {asio::error::no_data, false},
                                              {error_code(), false},
                                              {asio::error::host_not_found_try_again, true},
                                              {asio::error::no_recovery, true}};
  for (const auto& [ec, retryable] : rows) {
    failure_ = ec;
    const auto result = resolve(resolver, "host" + std::to_string(asked_));
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().code, Errc::unavailable);
    EXPECT_EQ(result.error().retryable, retryable) << ec.message();
  }
}

}  // namespace
}  // namespace svc
