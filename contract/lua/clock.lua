-- Redis time in ms. Nobody else's clock decides a limit.
local function clock()
  local t=redis.call('TIME')
  return t[1]*1000+math.floor(t[2]/1000)
end

-- A whole number as text; Lua's own conversion would print 1e+14, and without the zero this one -0.
local function F(n) return string.format('%.0f',n+0) end

-- The same figures as in the Rust beside these scripts.
local RATE_WINDOW=60000
local SEGMENT=250
local LEASE=30000
local BEAT=15000
local RELEASED=60000
local SWEPT=86400000
local MAX_TRAVEL=5000
local MAX_MONEY=9000000000000000
