// The events that streams of the Responses API and of Anthropic's Messages API are made of, as far as they are no content.
#pragma once

#include <cstdint>
#include <string_view>

namespace svc::router {

struct StreamEvent {
  enum class Usage : std::uint8_t {
    at_its_end,  ///< if anywhere, as the last thing in its data, which then ends in "}}"
    anywhere,
    nowhere,
  };
  bool preamble = false;  ///< may come before the prompt is computed: it tells nothing of the answer's tokens
  bool last = false;      ///< the stream says its end
  Usage usage = Usage::at_its_end;
};

/// Of an event with that name; content, when the name is not known.
[[nodiscard]] StreamEvent stream_event(std::string_view name);

/// X of data that begins with {"type": "X"; empty, when it does not.
[[nodiscard]] std::string_view type_at_front(std::string_view data);

}  // namespace svc::router
