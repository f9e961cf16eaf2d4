-- KEYS  names of versioned values
-- ARGV  the values: sixteen digits of revision, then anything
if #KEYS==0 then return 0 end
local got=redis.call('MGET',unpack(KEYS))
local out,written,newest={},0,{}
for i,key in ipairs(KEYS) do
  local rev=string.sub(ARGV[i],1,16)
  local old=newest[key] or got[i] and string.sub(got[i],1,16)
  if not old or old<rev then
    newest[key]=rev
    written=written+1
    out[#out+1]=key out[#out+1]=ARGV[i]
  end
end
if written>0 then redis.call('MSET',unpack(out)) end
return written
