#include "common/core/error.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "common/core/result.hpp"

namespace svc {
namespace {

constexpr Errc kAllCodes[] = {
    Errc::invalid_argument, Errc::not_found,      Errc::conflict,    Errc::unauthorized, Errc::forbidden,
    Errc::too_large,        Errc::limit_exceeded, Errc::unavailable, Errc::timed_out,    Errc::connect_failed,
    Errc::connection_lost,  Errc::protocol_error, Errc::io_error,    Errc::cancelled,    Errc::internal,
};

TEST(Error, EveryCode_HasItsOwnName) {
  std::set<std::string_view> names;
  for (const Errc code : kAllCodes) names.insert(to_string(code));
  EXPECT_EQ(names.size(), std::size(kAllCodes));
  EXPECT_EQ(names.count("unknown"), 0U);
  EXPECT_EQ(to_string(Errc::invalid_argument), "invalid_argument");
}

TEST(Error, EverySource_HasItsOwnName) {
  EXPECT_EQ(to_string(ErrorSource::client), "client");
  EXPECT_EQ(to_string(ErrorSource::peer), "peer");
  EXPECT_EQ(to_string(ErrorSource::self), "self");
}

TEST(Error, Default_IsInternalFaultOfThisProcess) {
  const Error error;
  EXPECT_EQ(error.code, Errc::internal);
  EXPECT_EQ(error.source, ErrorSource::self);
  EXPECT_FALSE(error.retryable);
  EXPECT_EQ(error.to_string(), "");
}

TEST(Error, WithCause_PrintsBoth) {
  EXPECT_EQ(connect_failed("cannot reach a:1", "Connection refused").to_string(),
            "cannot reach a:1: Connection refused");
  EXPECT_EQ(invalid("bad port").to_string(), "bad port");
}

TEST(Error, Makers_SetSourceAndRetryable) {
  struct Row {
    Error error;
    Errc code;
    ErrorSource source;
    bool retryable;
  };
  const Row rows[] = {
      {invalid("m"), Errc::invalid_argument, ErrorSource::client, false},
      {not_found("m"), Errc::not_found, ErrorSource::client, false},
      {conflict("m"), Errc::conflict, ErrorSource::client, false},
      {too_large("m"), Errc::too_large, ErrorSource::client, false},
      {limit_exceeded("m"), Errc::limit_exceeded, ErrorSource::client, false},
      {io_failed("m", "c"), Errc::io_error, ErrorSource::self, false},
      {cancelled("m"), Errc::cancelled, ErrorSource::self, false},
      {internal_error("m"), Errc::internal, ErrorSource::self, false},
      {timed_out("m"), Errc::timed_out, ErrorSource::peer, true},
      {connect_failed("m", "c"), Errc::connect_failed, ErrorSource::peer, true},
      {connection_lost("m", "c"), Errc::connection_lost, ErrorSource::peer, true},
      {unavailable("m"), Errc::unavailable, ErrorSource::peer, true},
      {protocol_error("m"), Errc::protocol_error, ErrorSource::peer, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(to_string(row.code)));
    EXPECT_EQ(row.error.code, row.code);
    EXPECT_EQ(row.error.source, row.source);
    EXPECT_EQ(row.error.retryable, row.retryable);
    EXPECT_EQ(row.error.message, "m");
  }
}

TEST(Error, Wrap_KeepsKindAndChainsText) {
  const Error outer = wrap("cannot load the state", wrap("cannot open x.db", timed_out("no answer", "5s passed")));
  EXPECT_EQ(outer.code, Errc::timed_out);
  EXPECT_TRUE(outer.retryable);
  EXPECT_EQ(outer.to_string(), "cannot load the state: cannot open x.db: no answer: 5s passed");
}

Result<int> half(int value) {
  if (value % 2 != 0) return invalid("odd");
  return value / 2;
}

Result<void> check(bool good) {
  if (!good) return conflict("not good");
  return {};
}

TEST(Result, Value_ComesBack) {
  const auto result = half(8);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 4);
  EXPECT_EQ(result.value(), 4);
}

TEST(Result, Error_ComesBack) {
  const auto result = half(3);
  ASSERT_TRUE(result.has_error());
  EXPECT_EQ(result.error(), invalid("odd"));
}

TEST(Result, ValueOfError_ThrowsBadResultWithTheError) {
  try {
    (void)half(3).value();
    FAIL() << "no exception";
  } catch (const BadResult& thrown) {
    EXPECT_STREQ(thrown.what(), "odd");
    EXPECT_EQ(thrown.error().code, Errc::invalid_argument);
  }
}

TEST(Result, Void_HoldsSuccessOrError) {
  EXPECT_TRUE(check(true).has_value());
  EXPECT_EQ(check(false).error().message, "not good");
  EXPECT_NO_THROW(check(true).value());
  EXPECT_THROW(check(false).value(), BadResult);
}

TEST(Result, OfString_IsNotTakenForAnError) {
  const Result<std::string> text = std::string("fine");
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(*text, "fine");
}

TEST(Result, OfMoveOnlyType_CanBeMovedOut) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

}  // namespace
}  // namespace svc
