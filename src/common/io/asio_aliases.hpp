// The few Asio names that every I/O header needs.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace svc {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using boost::system::error_code;

/// Completion token of the house: a tuple with the error code, never an exception.
inline constexpr auto kTok = asio::as_tuple(asio::use_awaitable);

/// A timer over the same clock as svc::TimePoint.
using Timer = asio::steady_timer;

}  // namespace svc
