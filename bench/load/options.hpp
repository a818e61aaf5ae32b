// What infinilm-bench was asked to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"

namespace svc::load {

enum class Mode : std::uint8_t {
  unary,   ///< requests with one answer each
  sse,     ///< streams that are read to their end
  cancel,  ///< streams that the client leaves after some chunks
  hold,    ///< streams that stay open for the whole run
};
std::string_view to_string(Mode mode);

struct Options {
  Mode mode = Mode::unary;
  std::string host = "127.0.0.1";        ///< a loopback address; nothing else is accepted
  std::vector<std::uint16_t> ports;      ///< of the proxy; with several, the clients are dealt out to them in turn
  std::vector<std::uint16_t> sim_ports;  ///< engine simulators whose /sim/stats tell what was generated; may be empty
  int pid = 0;                           ///< the proxy's process, measured with its children; 0: do not
  std::string path = "/v1/chat/completions";
  std::string model = "sim";

  std::size_t clients = 64;       ///< connections, and requests or streams at a time at most
  std::size_t body_bytes = 1024;  ///< of each request, exactly
  bool distinct = false;          ///< no two requests have the beginning of their text in common
  std::size_t tokens = 100;       ///< asked of each stream (max_tokens), and counted
  std::size_t cancel_after = 5;   ///< cancel: chunks

  double rate = 0;      ///< requests or streams begun per second (open loop); 0: each client begins as soon as it can
  bool even = false;    ///< open loop: evenly spaced instead of Poisson
  Duration ramp{};      ///< closed loop: the clients begin evenly spread over this time
  Duration warmup{};    ///< not measured; at least `ramp`
  Duration duration{};  ///< measured
  std::size_t requests = 0;  ///< instead of a duration: measure until so many have ended, also badly; 0: by time
  Duration timeout{};        ///< silence after which an exchange has failed

  [[nodiscard]] bool streaming() const { return mode != Mode::unary; }
};

/// A request for a streamed or plain answer, as options say, head and body; `fields` are further ones, each with its CRLF.
std::string wrap_request(const Options& options, std::string_view body, std::string_view fields = {});
/// The request that every client sends, head and body: a chat completion request of options.body_bytes, the model after
/// the messages, as the OpenAI libraries write it.
std::string make_request(const Options& options);
/// Makes the text of a request of make_request begin with this number; options.distinct must have been on then.
void number_request(std::string& request, std::uint64_t number);

}  // namespace svc::load
