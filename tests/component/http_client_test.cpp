// The HTTP client against a peer that answers scripted bytes.
#include "common/io/http_client.hpp"

#include <sys/resource.h>

#include "common/io/acceptor.hpp"
#include "common/io/probe.hpp"
#include "tests/support/http_fixture.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;

/// Accepts one connection, reads a request head, sends `answer`, closes (unless told to stay).
struct ScriptedPeer {
  tcp::acceptor acceptor;
  std::string answer;
  bool stay = false;
  std::string request;

  explicit ScriptedPeer(asio::any_io_executor executor) : acceptor(executor, {asio::ip::address_v4::loopback(), 0}) {}

  asio::awaitable<void> run() {
    auto [ec, socket] = co_await acceptor.async_accept(kTok);
    if (ec) {
      co_return;
    }
    Stream stream(std::move(socket));
    stream.prepare();
    std::array<char, 4096> buffer;
    while (request.find("\r\n\r\n") == std::string::npos) {
      const auto [read_error, data] = co_await stream.read_some(buffer);
      if (read_error) {
        co_return;
      }
      request.append(data);
    }
    co_await stream.write(answer);
    if (stay) {
      co_await stream.read_some(buffer);
    }
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()); }
};

/// While it lives the process gets no new descriptor.
class NoNewDescriptors {
 public:
  NoNewDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoNewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoNewDescriptors(const NoNewDescriptors&) = delete;
  NoNewDescriptors& operator=(const NoNewDescriptors&) = delete;

 private:
  rlimit before_{};
};

class HttpClientTest : public test::HttpFixture {
 public:
  HttpClientTest()
      : peer_(io_.get_executor()),
        resolver_(io_.get_executor()),
        client_(io_.get_executor(), resolver_, "test"),
        tasks_(io_.get_executor(), [](const char*, const std::string& what) { ADD_FAILURE() << what; }) {}

  Result<HttpReply> call(const std::string& answer, HttpCall call = {}, Duration limit = 5s) {
    peer_.answer = answer;
    tasks_.spawn("peer", peer_.run());
    Result<HttpReply> reply = internal_error("not called");
    call.url = *parse_http_url(call.url.endpoint.host.empty() ? peer_.url() : call.url.to_string());
    run([](HttpClientTest& t, HttpCall c, Duration l, Result<HttpReply>& out) -> asio::awaitable<void> {
      out = co_await t.client_.call(std::move(c), Deadline::after(steady_now(), l));
      t.peer_.acceptor.close();
      co_await t.tasks_.join();
    }(*this, std::move(call), limit, reply));
    return reply;
  }

  ScriptedPeer peer_;
  Resolver resolver_;
  HttpClient client_;
  TaskGroup tasks_;
};

TEST_F(HttpClientTest, WholeAnswer_StatusFieldsBody) {
  const auto reply = call("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi");
  ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "hi");
  EXPECT_NE(peer_.request.find("User-Agent: test\r\n"), std::string::npos);
}

TEST_F(HttpClientTest, InterimAnswers_PassedOver) {
  const auto reply = call("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
  ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
  EXPECT_EQ(reply->status, 204);
}

TEST_F(HttpClientTest, AnswerUntilClose_Whole) {
  const auto reply = call("HTTP/1.0 200 OK\r\n\r\nall of it");
  ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
  EXPECT_EQ(reply->body, "all of it");
}

TEST_F(HttpClientTest, CutAnswer_ConnectionLost) {
  const auto reply = call("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::connection_lost);
}

TEST_F(HttpClientTest, ClosedWithoutAnAnswer_NoSystemErrorIsNamed) {
  const auto reply = call("");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::connection_lost);
  EXPECT_EQ(reply.error().to_string(), "the connection was closed before the answer was complete");
}

TEST_F(HttpClientTest, CutChunkedAnswer_ConnectionLost) {
  const auto reply = call("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::connection_lost);
}

TEST_F(HttpClientTest, NotHttp_ProtocolError) {
  const auto reply = call("SSH-2.0-OpenSSH\r\n\r\n");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::protocol_error);
}

TEST_F(HttpClientTest, BodyOneMoreThanLimit_TooLarge) {
  HttpCall limited;
  limited.max_body_bytes = 4;
  const auto reply = call("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", limited);
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::too_large);
}

TEST_F(HttpClientTest, HeadOnly_DoesNotWaitForTheBody) {
  peer_.stay = true;
  HttpCall head;
  head.head_only = true;
  const auto reply = call("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", head);
  ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
  EXPECT_EQ(reply->status, 200);
}

TEST_F(HttpClientTest, SilentPeer_TimedOut) {
  peer_.stay = true;
  const auto reply = call("", {}, 200ms);
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::timed_out);
}

TEST_F(HttpClientTest, Redirect_NotFollowed) {
  const auto reply = call("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(reply.has_value()) << reply.error().to_string();
  EXPECT_EQ(reply->status, 302);
}

TEST_F(HttpClientTest, NothingListens_ConnectFailed) {
  const auto port = peer_.acceptor.local_endpoint().port();
  peer_.acceptor.close();
  run([](HttpClientTest& t, std::uint16_t p) -> asio::awaitable<void> {
    const auto outcome = co_await http_probe(t.client_, "http://127.0.0.1:" + std::to_string(p) + "/health", 5s);
    EXPECT_FALSE(outcome.healthy);
    EXPECT_TRUE(outcome.refused) << outcome.error;
  }(*this, port));
}

TEST_F(HttpClientTest, AddressPolicy_JudgedBeforeConnecting) {
  AddressPolicy policy;
  policy.allow.push_back(*Cidr::parse("10.0.0.0/8"));
  client_.set_address_policy(policy);
  const auto reply = call("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, Errc::forbidden);
  EXPECT_EQ(peer_.request, "");
}

TEST_F(HttpClientTest, ProbeWithoutADescriptor_LearnsNothing) {
  ProbeOutcome outcome;
  {
    const NoNewDescriptors none;
    run([](HttpClientTest& t, ProbeOutcome& out) -> asio::awaitable<void> {
      out = co_await http_probe(t.client_, t.peer_.url() + "/health", 5s);
    }(*this, outcome));
  }
  EXPECT_TRUE(outcome.unsent);
  EXPECT_FALSE(outcome.healthy || outcome.refused);
  EXPECT_EQ(outcome.error, "cannot connect to " + peer_.url().substr(7) + ": Too many open files");
}

}  // namespace
}  // namespace svc
