"""The gateway: certificates decide which requests are answered locally. The others go to the fallback, within budget and privacy policy."""
